"""The product's own audit, asked as a user asks it: `sluice doctor --audit`."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field

PATIENCE = 120.0


@dataclass
class Audit:
    """What it answered so far; `faults` are its violations, a sentence each."""

    url: str
    looks: int = 0
    faults: list[str] = field(default_factory=list)

    async def look(self, *, must: bool = False) -> None:
        """Ask once. With `must`, no answer is a fault, too; else the server may be away."""
        words = [sys.executable, "-P", "-c", "from dispatcher.cli import main; main()"]
        process = await asyncio.create_subprocess_exec(
            *words, "doctor", "--audit", "--output", "json", stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "SLUICE_REDIS_URL": self.url},
        )  # fmt: skip
        try:
            out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        except TimeoutError:
            process.kill()
            out, err = await process.communicate()
        except BaseException:
            process.kill()
            raise
        try:
            found = [one for one in json.loads(out) if one["check"] == "audit"]
        except (ValueError, TypeError, KeyError):
            found = []
        self.looks += bool(found)
        self.faults += [f"audit of {one['pool']}: {one['finding']}" for one in found if one["severity"] == "error"]
        if must and not found:
            self.faults.append(f"`sluice doctor --audit` says nothing: {err.decode(errors='replace')[-300:]}")
