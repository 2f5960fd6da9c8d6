"""Started by a supervisor: writes what it was given; ends with 75 the first time, with 0 when it is told to stop."""

import json
import os
import signal
import sys
from pathlib import Path

notes = Path(os.environ["SLUICE_TEST_NOTES"])
given = {"words": sys.argv[1:], "url": os.environ.get("SLUICE_REDIS_URL"), "cwd": str(Path.cwd())}
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
with notes.open("a") as file:
    file.write(json.dumps(given) + "\n")
if len(notes.read_text().splitlines()) == 1:
    sys.exit(75)
signal.sigwait({signal.SIGTERM, signal.SIGUSR1})
