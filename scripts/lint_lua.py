"""Lint the composed Lua: luacheck on what Redis will run, and the house's own rules for a script.

Run by scripts/check. Without luacheck only the house's rules are checked; under CI=true its absence is a failure.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dispatcher import scripts

LUA = Path(scripts.__file__).with_name("lua")
COMMAND_LINES, INCLUDE_LINES, COLUMNS = 130, 200, 120
GLOBALS = ("redis", "KEYS", "ARGV", "cjson", "cmsgpack", "struct", "bit")
# 211, 221, 231: what a script does not use of an include. 4xx: an include inside a function may shadow its names.
# 542, 631: empty branches and long lines; lines are measured in the files themselves.
IGNORED = ("211", "221", "231", "241", "311", "4..", "542", "631")
FORBIDDEN = {
    r"\bKEYS\[[2-9]": "one root key is declared, the others are computed with its tag",
    r"math\.random": "a script decides the same wherever it runs",
    r"\bos\.|\bio\.": "there is no outside",
    r"call\('(KEYS|SCAN|HSCAN|SSCAN|ZSCAN|FLUSH\w+|EVAL\w*)'": "a script walks no keyspace",
}
_KEY = re.compile(r"call\('[A-Z]+', *([^,)]+)")
_DERIVED = re.compile(
    r"^(root\b|KEYS\[1\]|bucket\.(stream|front)|worker\.held|scope\b|awake\b|idle\b|inbox\b|reply\b|listeners\b|waiters\b"
    r"|used\b|facts\b|hash\b|finished\b|worker\b|lane\b)"
)


def house_faults(name: str, source: str, *, is_command: bool) -> list[str]:
    """What breaks the house's rules in one file, as `file:line: what`."""
    lines = source.splitlines()
    most = COMMAND_LINES if is_command else INCLUDE_LINES
    faults = [f"{name}:{most}: longer than {most} lines, split it by noun"] if len(lines) > most else []
    if is_command:
        faults += [f"{name}:1: no {part} in the header" for part in ("-- KEYS", "-- RETURNS") if part not in source]
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            faults.append(f"{name}:{number}: longer than {COLUMNS} columns")
        code = line.split("--", 1)[0]
        faults += [f"{name}:{number}: {why}" for rule, why in FORBIDDEN.items() if re.search(rule, code)]
        keys = (match[1].strip() for match in _KEY.finditer(code) if "'TIME'" not in match[0])
        faults += [f"{name}:{number}: the key {key} is not made from root" for key in keys if not _DERIVED.match(key)]
    return faults


def composed_faults() -> list[str]:
    """What breaks the rules of a composed script."""
    faults: list[str] = []
    for name in scripts.names():
        script = scripts.load(name)
        if not script.text.startswith("#!lua"):
            faults.append(f"{name}.lua:1: does not start with #!lua")
        if "sluice:" in script.text.replace("SLUICE", ""):
            faults.append(f"{name}.lua:1: names a key outside its pool")
    return faults


def luacheck() -> list[str]:
    """What luacheck says of the composed scripts."""
    if shutil.which("luacheck") is None:
        return ["luacheck is missing: install the package lua-check"] if os.environ.get("CI") == "true" else []
    with tempfile.TemporaryDirectory() as folder:
        for name in scripts.names():
            text = scripts.load(name).text.replace("#!lua", "--lua", 1)
            Path(folder, f"{name}.lua").write_text(text, encoding="utf-8")
        command = ["luacheck", folder, "--std", "lua51", "--read-globals", *GLOBALS, "--ignore", *IGNORED]
        done = subprocess.run(
            [*command, "--no-color", "--codes", "-q", "--formatter", "plain"],
            capture_output=True,
            text=True,
            check=False,
        )
    return [line.replace(folder + "/", "composed ") for line in done.stdout.splitlines() if line.strip()]


def faults() -> list[str]:
    """All faults of the scripts as they are."""
    found: list[str] = []
    for path in sorted(LUA.rglob("*.lua")):
        is_command = path.parent == LUA
        found += house_faults(str(path.relative_to(LUA)), path.read_text(encoding="utf-8"), is_command=is_command)
    return found + composed_faults() + luacheck()


if __name__ == "__main__":
    found = faults()
    print("\n".join(found) or f"{len(scripts.names())} scripts are clean")
    sys.exit(bool(found))
