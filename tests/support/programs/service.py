"""A service process of the tests: `service.py URL dispatcher|scheduler`."""

import asyncio
import sys

import dispatcher.service
import scheduler.service
from dispatcher.settings import read_settings

SERVICES = {"dispatcher": dispatcher.service.serve, "scheduler": scheduler.service.serve}

if __name__ == "__main__":
    asyncio.run(SERVICES[sys.argv[2]](read_settings({"redis_url": sys.argv[1], "tick_ms": 100})))
