"""Lint the Lua: luacheck on the composed text, which is what Redis runs, and the house's own rules for each file.

Every fault is told as `file:line: what`, in terms of the file a person edits. Run by scripts/check. Without luacheck
only the house's rules are checked; under CI=true its absence is a failure.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from dispatcher import scripts

LUA = Path(scripts.__file__).with_name("lua")
COMMAND_LINES, INCLUDE_LINES, COLUMNS = 130, 200, 120
GLOBALS = ("redis", "KEYS", "ARGV", "cjson", "cmsgpack", "struct", "bit")
HEADER = "the generated head"

FORBIDDEN = {
    r"\bKEYS\b": "KEYS is read once, as root: one key is declared, the others are computed with its tag",
    r"'sluice:": "the key of a pool is made from root",
    r"\bmath\.random": "a script decides the same wherever it runs",
    r"\b(os|io)\.": "there is no outside",
    r"\bredis\.p?call\b": "`call` is the word, so that this lint sees it",
    r"\bcall\('(KEYS|\w*SCAN|RANDOMKEY|FLUSH\w+|EVAL\w*|CONFIG)'": "a script walks no keyspace and changes no server",
}
WITHOUT_KEY = {"TIME"}
ALL_ARE_KEYS = {"DEL", "UNLINK", "EXISTS"}
KEY_IS_SECOND = {"XINFO"}
# Names that hold a key although no line of their file says `name = root`.
GIVEN_KEYS = {
    ("include/holding.lua", "scope"): "of bucket.scopes, see bucket.lua",
    ("include/lanes.lua", "lane"): "lanes_of returns ready sets",
    ("include/places.lua", "lane"): "lanes_of returns ready sets",
    ("include/places.lua", "scope"): "of bucket.scopes",
    ("include/rooms.lua", "scope"): "callers count scopes",
    ("include/scopes.lua", "scope"): "verify.lua makes it from root and a name that begins with slots",
    ("include/scopes.lua", "set"): "as scope, or one of two sets that verify.lua makes from root",
    ("include/totals.lua", "hash"): "callers name hashes of the pool",
    ("include/slots.lua", "scope"): "of bucket.scopes, or worker.held",
}
# Reads of a whole key, with what bounds it.
WHOLE_READS = {
    ("agenda.lua", "SMEMBERS"): "as many as deployments on their way to another pool",
    ("audit.lua", "ZRANGE"): "4,096 holders of slots; queues and suspended runs only as an audit begins",
    ("delete_pool.lua", "SMEMBERS"): "256 publishers at most, see publisher.lua",
    ("heartbeat.lua", "ZRANGEBYSCORE"): "what one worker holds: its capacity",
    ("include/facing.lua", "SMEMBERS"): "64 lanes at most",
    ("include/lanes.lua", "SMEMBERS"): "64 lanes at most, see join.lua",
    ("include/orders.lua", "HGETALL"): "runs of one worker: its capacity",
    ("include/scopes.lua", "ZRANGE"): "64 members, counted before",
    ("include/settle.lua", "SMEMBERS"): "64 lanes at most",
    ("include/sweeping.lua", "HKEYS"): "as many as bulk edits under way",
    ("include/telling.lua", "SMEMBERS"): "clients that wait for one run",
    (
        "include/totals.lua",
        "HVALS",
    ): "as many as queues with runs; every few seconds, or as a pool goes",
    ("snapshot.lua", "HGETALL"): "some forty words: see include/histograms.lua",
}
_WHOLE = re.compile(r"^(HGETALL|HKEYS|HVALS|SMEMBERS|SUNION|SINTER|SDIFF|LRANGE)$")
_BY = re.compile(r"^(X(REV)?RANGE|Z(REV)?RANGEBY(SCORE|LEX))$")
_FINDING = re.compile(r"^(?P<name>\w+)\.lua:(?P<line>\d+):\d+: \([EW](?P<code>\d+)\) (?P<what>.*)$")


class Call(NamedTuple):
    """A command in a file: where it stands, its name, its arguments as they are written."""

    line: int
    command: str
    arguments: list[str]


class Place(NamedTuple):
    """A line of a file; line 0 of HEADER is what the loader writes before a script."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def without_comments(source: str) -> str:
    """The code alone; lines stay where they are."""
    return re.sub(r"--.*", "", source)


def arguments(code: str, start: int) -> list[str]:
    """The arguments of the call whose bracket opens before `start`."""
    found, depth, quoted = [""], 0, False
    for letter in code[start:]:
        quoted ^= letter == "'"
        depth += 0 if quoted else (letter in "({[") - (letter in ")}]")
        if depth < 0:
            break
        if letter == "," and depth == 0 and not quoted:
            found.append("")
        else:
            found[-1] += letter
    return [" ".join(argument.split()) for argument in found]


def calls(code: str) -> Iterator[Call]:
    """Every command of a file."""
    for match in re.finditer(r"\bcall\(", code):
        command, *rest = arguments(code, match.end())
        yield Call(code.count("\n", 0, match.start()) + 1, command.strip("'"), rest)


def key_names(code: str) -> set[str]:
    """Names that this text gives a key: `name = root ..`, also as a field of a table."""
    return {"root", *re.findall(r"\b(\w+) = root\b", code)}


def call_faults(name: str, code: str, fields: Collection[str]) -> Iterator[str]:
    """Commands whose key is not made from root, and those that read a key whole."""
    known = key_names(code)
    for line, command, rest in calls(code):
        if command in WITHOUT_KEY:
            continue
        for key in rest if command in ALL_ARE_KEYS else rest[1:2] if command in KEY_IS_SECOND else rest[:1]:
            first = "".join(re.findall(r"^[\w.]+", key))
            is_field = "." in first and first.split(".")[-1] in fields
            if not (first in known or is_field or (name, first) in GIVEN_KEYS):
                yield f"{name}:{line}: the key {key or '(none)'} is not made from root"
        is_whole = _WHOLE.match(command) or (_BY.match(command) and not {"'LIMIT'", "'COUNT'"} & set(rest))
        if (is_whole or "-1" in rest) and (name, command) not in WHOLE_READS:
            yield f"{name}:{line}: {command} reads a whole key: say in WHOLE_READS what bounds it"


def header_faults(name: str, source: str) -> Iterator[str]:
    """What is missing in the header of a command: it is the script's signature."""
    header = "".join(takewhile(lambda line: line.startswith("--"), source.splitlines(keepends=True)))
    if not re.match(rf"-- {name.removesuffix('.lua')}: .+\.\n--\n", header):
        yield f"{name}:1: the first line is `-- name: one sentence.`, then an empty one"
    if len(re.findall(r"^-- KEYS +root +the pool\n(?=-- [AR])", header, re.MULTILINE)) != 1:
        yield f"{name}:1: the header declares one key, `-- KEYS     root      the pool`"
    if "\n-- ARGV" not in header and "\n-- REST" not in header:
        yield f"{name}:1: no -- ARGV in the header"
    if "\n-- RETURNS  " not in header:
        yield f"{name}:1: no -- RETURNS in the header"
    if not re.search(r"\n-- RETURNS  (?:.|\n)*?\n--\n-- (?!include:)\S[^\n]*", header):
        yield f"{name}:1: the header does not say what the script guarantees, after RETURNS and an empty line"


def house_faults(name: str, source: str, fields: Collection[str] = ()) -> list[str]:
    """What breaks the house's rules in one file; `fields` are those of tables that hold keys."""
    is_command = "/" not in name
    most = COMMAND_LINES if is_command else INCLUDE_LINES
    lines, code = source.splitlines(), without_comments(source)
    faults = [f"{name}:{most}: longer than {most} lines, split it by noun"] if len(lines) > most else []
    faults += header_faults(name, source) if is_command else ()
    for number, (line, bare) in enumerate(zip(lines, code.split("\n"), strict=False), 1):
        if len(line) > COLUMNS:
            faults.append(f"{name}:{number}: longer than {COLUMNS} columns")
        faults += [f"{name}:{number}: {why}" for rule, why in FORBIDDEN.items() if re.search(rule, bare)]
    return faults + list(call_faults(name, code, fields))


def origin(path: str, known: set[str]) -> list[Place]:
    """Where each line of a composed script comes from: the loader's way through includes, with places kept."""
    found: list[Place] = []
    for number, line in enumerate(scripts._read(path).splitlines(), 1):  # noqa: SLF001 - the loader's own file access
        place = scripts._PLACE.match(line)  # noqa: SLF001 - and its own syntax
        if place is None:
            found.append(Place(path, number, line))
            continue
        scope = known if place[1] == "include" else set(known)
        for name in place[2].split():
            if name not in scope:
                scope.add(name)
                found += origin(f"include/{name}.lua", scope)
    return found


def places(script: scripts.Script) -> list[Place]:
    """The place of each line of a composed script."""
    lines, body = script.text.splitlines(), origin(f"{script.name}.lua", set())
    head = len(lines) - len(body)
    if [place.text for place in body] != lines[head:]:
        raise AssertionError(f"{script.name}: this lint composes in another way than the loader")
    return [Place(HEADER, 0, line) for line in lines[:head]] + body


def says(texts: dict[str, str]) -> list[str]:
    """What luacheck says of these scripts."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            Path(folder, f"{name}.lua").write_text(text.replace("#!lua", "--lua", 1), encoding="utf-8")
        command = ["luacheck", ".", "--std", "lua51", "--read-globals", *GLOBALS, "--no-max-line-length"]
        done = subprocess.run(
            [*command, "--no-cache", "--no-config", "--no-color", "--codes", "-q", "--formatter", "plain"],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
    return done.stdout.replace("./", "").splitlines() + done.stderr.splitlines()


def is_hidden(here: Place, there: Place, code: str) -> bool:
    """Whether shadowing matters: within one file, or when it hides a name that includes are written against.

    An include placed inside a function, or below a script's arguments, has parameters called like what is around it.
    It cannot mean those: it is written without knowing them.
    """
    is_shared = there.file.startswith("include/") and there.text.startswith("local ") and code.endswith("1")
    return here.file == there.file or is_shared or there.text in ("local call = redis.call", "local root = KEYS[1]")


def luacheck() -> list[str]:
    """All faults that luacheck finds in the composed scripts, each once, at its place."""
    if shutil.which("luacheck") is None:
        return ["luacheck is missing: install the package lua-check"] if os.environ.get("CI") == "true" else []
    composed = {name: scripts.compose(name) for name in scripts.names()}
    origins = {name: places(script) for name, script in composed.items()}
    used = Counter(place for origin in origins.values() for place in origin)
    unused: Counter[tuple[Place, str]] = Counter()
    found: dict[str, None] = {}
    for line in says({name: script.text for name, script in composed.items()}):
        finding = _FINDING.match(line)
        if finding is None:
            found[line] = None
            continue
        where = origins[finding["name"]]
        here, code, what = where[int(finding["line"]) - 1], finding["code"], finding["what"]
        if code.startswith("4"):
            there = where[int(re.findall(r"on line (\d+)", what)[-1]) - 1]
            if not is_hidden(here, there, code):
                continue
            what = re.sub(r"on line \d+", f"of {there}", what)
        elif code[0] in "23" and here.file.startswith("include/"):
            unused[here, what] += 1  # what one script does not need of an include, another does
            continue
        at = here if here.line else f"{finding['name']}.lua:1"
        found[f"{at}: {what}"] = None
    return [*found, *(f"{at}: {what}, in any script" for (at, what), n in unused.items() if n >= used[at])]


def composed_faults() -> list[str]:
    """Scripts that do not begin as Redis wants it."""
    return [f"{name}.lua:1: not #!lua" for name in scripts.names() if not scripts.load(name).text.startswith("#!lua")]


def faults() -> list[str]:
    """All faults of the scripts as they are."""
    sources = {
        path.relative_to(LUA).as_posix(): path.read_text(encoding="utf-8") for path in sorted(LUA.rglob("*.lua"))
    }
    fields = set().union(*(key_names(without_comments(source)) for source in sources.values()))
    found = [fault for name, source in sources.items() for fault in house_faults(name, source, fields)]
    return found + composed_faults() + luacheck()


if __name__ == "__main__":
    told = faults()
    print("\n".join(told) or f"{len(scripts.names())} scripts are clean")
    sys.exit(bool(told))
