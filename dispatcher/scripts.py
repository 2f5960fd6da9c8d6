"""Lua scripts: files in `lua/`, whose headers are their signatures, composed with what they include.

The header of `lua/<name>.lua` names KEYS, ARGV (`int` or `str`), REST when more arguments follow, FLAGS and includes.
The loader turns it into local variables, so a script reads names and never an index. A script is called by the hash of
its text: two releases work side by side, and a server that forgot it is told again. A user who may not load scripts
(`sluice acl`) has to wait until a dispatcher of its release did.
"""

import hashlib
import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Protocol, TypeAlias

from redis.exceptions import NoPermissionError, NoScriptError

Argument: TypeAlias = str | bytes | int

_PACKAGE = "dispatcher"
_PLACE = re.compile(r"\s*-- (include|here): (.*)$")
# A script without `allow-oom` is refused when memory is short; `no-writes` implies it, and holds a script to reading.
_FLAGS = {"deny-oom": "", "allow-oom": " flags=allow-oom", "no-writes": " flags=no-writes"}
_ARGUMENT = re.compile(r"^-- (?:ARGV)?\s+(\w+)\s+(int|str)\b")


class AsyncEvaluator(Protocol):
    """The commands of an async redis client that run a script."""

    async def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Run the script of that hash."""
        ...

    async def evalsha_ro(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Run the script of that hash, which only reads."""
        ...

    async def script_load(self, script: str) -> Any:
        """Keep that text under its hash."""
        ...


class Evaluator(Protocol):
    """The same of a blocking redis client."""

    def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Run the script of that hash."""
        ...

    def evalsha_ro(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Run the script of that hash, which only reads."""
        ...

    def script_load(self, script: str) -> Any:
        """Keep that text under its hash."""
        ...


@dataclass(frozen=True)
class Script:
    """One composed script. `root` is its only declared key; all others carry the same hash tag."""

    name: str
    arguments: tuple[tuple[str, str], ...]
    has_rest: bool
    text: str
    sha: str
    reads_only: bool = False

    def call(self, client: AsyncEvaluator, root: str, *args: Argument) -> Awaitable[Any]:
        """Run it; raises `redis.exceptions.RedisError` as the client does, NoScriptError where the server lacks it."""
        if self.reads_only:  # a user who may only read may do this, and not EVALSHA
            return client.evalsha_ro(self.sha, 1, root, *args)
        return client.evalsha(self.sha, 1, root, *args)

    async def run(self, client: AsyncEvaluator, root: str, *args: Argument) -> Any:
        """The same; where the server lacks it and this user may load it, it is loaded first."""
        try:
            return await self.call(client, root, *args)
        except NoScriptError as missing:
            try:
                await client.script_load(self.text)
            except NoPermissionError:
                raise missing from None
            return await self.call(client, root, *args)

    def run_blocking(self, client: Evaluator, root: str, *args: Argument) -> Any:
        """As `run`, for a thread with a connection of its own."""
        evalsha = client.evalsha_ro if self.reads_only else client.evalsha
        try:
            return evalsha(self.sha, 1, root, *args)
        except NoScriptError as missing:
            try:
                client.script_load(self.text)
            except NoPermissionError:
                raise missing from None
            return evalsha(self.sha, 1, root, *args)

    def check(self, args: Sequence[Argument]) -> None:
        """Raise TypeError when a call does not fit the header; for tests, the hot path trusts its callers."""
        wanted = len(self.arguments)
        if len(args) < wanted or (len(args) > wanted and not self.has_rest):
            names = ", ".join(name for name, _ in self.arguments)
            raise TypeError(f"{self.name} takes {names}{', ...' if self.has_rest else ''}, got {len(args)} arguments")


def _read(path: str) -> str:
    return files(_PACKAGE).joinpath("lua").joinpath(path).read_text(encoding="utf-8")


def _header(source: str) -> str:
    return source.split("\n", 1)[0] + "\n" + "".join(re.findall(r"^--.*\n", source, re.MULTILINE))


def _parse_arguments(header: str) -> tuple[tuple[str, str], ...]:
    block = re.search(r"^-- ARGV.*?(?=^-- (?:REST|RETURNS|FLAGS)|^--$)", header, re.MULTILINE | re.DOTALL)
    found = (_ARGUMENT.match(line) for line in block.group().splitlines()) if block else ()
    return tuple((match[1], match[2]) for match in found if match)


def _preamble(arguments: tuple[tuple[str, str], ...], *, has_rest: bool) -> str:
    lines = ["local call = redis.call", "local root = KEYS[1]"]
    for index, (name, kind) in enumerate(arguments, 1):
        value = f"tonumber(ARGV[{index}])" if kind == "int" else f"ARGV[{index}]"
        lines.append(f"local {name} = {value}")
    if has_rest:
        lines.append(f"local rest = {{}}\nfor i = {len(arguments) + 1}, #ARGV do rest[#rest + 1] = ARGV[i] end")
    return "\n".join(lines) + "\n"


def _expand(source: str, known: set[str]) -> str:
    """Put includes in their places, each once a scope.

    `-- include: a b` stands at the top of a file: what it needs. `-- here: a b` stands inside a function, so that the
    functions of a rare path are made only when it is taken: making a closure costs 0.3 us, in every call.
    """
    lines: list[str] = []
    for line in source.splitlines():
        place = _PLACE.match(line)
        if place is None:
            lines.append(line)
            continue
        scope = known if place[1] == "include" else set(known)
        for name in place[2].split():
            if name not in scope:
                scope.add(name)
                lines.append(_expand(_read(f"include/{name}.lua"), scope))
    return "\n".join(lines)


def compose(name: str) -> Script:
    """Read and compose `lua/<name>.lua`."""
    source = _read(f"{name}.lua")
    header = _header(source)
    arguments = _parse_arguments(header)
    has_rest = "\n-- REST" in header
    said = re.search(r"^-- FLAGS +([\w-]+)$", header, re.MULTILINE)
    flag = said[1] if said else "allow-oom"
    body = _expand(source, set())
    text = f"#!lua{_FLAGS[flag]}\n{_preamble(arguments, has_rest=has_rest)}{body}"
    sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(name, arguments, has_rest, text, sha, flag == "no-writes")


@cache
def load(name: str) -> Script:
    """The script of that name, composed once a process."""
    return compose(name)


def names() -> list[str]:
    """Every script there is."""
    return sorted(entry.name[:-4] for entry in files(_PACKAGE).joinpath("lua").iterdir() if entry.name.endswith(".lua"))
