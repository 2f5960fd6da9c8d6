"""Addresses of servers: one server, a service watched by sentinels, or a cluster. Read here, and nowhere else.

    redis://[user:password@]host[:6379][/db]                                       one server; also unix:///path
    redis+sentinel://[user:password@]host[:26379],host,.../service[/db]            the master that sentinels name
        ?sentinel_username=&sentinel_password=                                     where sentinels want a login, too
    redis+cluster://[user:password@]host[:6379],host,...                           the masters of a cluster

With `rediss` in place of `redis` every connection is encrypted. Other parameters after `?` are redis-py's.
"""

import re
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from .errors import InvalidInput

Kind = Literal["single", "sentinel", "cluster"]
Host = tuple[str, int]

_SINGLE = re.compile(r"(redis|rediss|unix)://.")
_SEVERAL = re.compile(r"(rediss?)\+(\w+)://(?:([^/?#]*)@)?([^/?#@]*)(/[^?#]*)?(?:\?([^#]*))?(#.*)?", re.DOTALL)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+)(?::(\d{1,5}))?")
_PORTS = {"sentinel": 26379, "cluster": 6379}
_FORMS = {
    "sentinel": "redis+sentinel://[user:password@]host[:26379],host,.../service[/db]",
    "cluster": "redis+cluster://[user:password@]host[:6379],host,...",
}
_OF_SENTINELS = ("sentinel_username", "sentinel_password")


class Address(NamedTuple):
    """An address, taken apart. `hosts` are sentinels, or members of a cluster to begin with; none of a single server.

    `login` ends in @ or is empty; `query` is what servers and sentinels are both connected with.
    """

    url: str
    kind: Kind
    scheme: str = ""
    login: str = ""
    hosts: tuple[Host, ...] = ()
    service: str = ""
    db: int = 0
    query: str = ""
    sentinel_login: str = ""

    def server(self, host: str, port: int) -> str:
        """The address of one server."""
        return f"{self.scheme}://{self.login}{_shown(host)}:{port}/{self.db}{self.query}"

    def sentinel(self, host: str, port: int) -> str:
        """The address of one sentinel."""
        return f"{self.scheme}://{self.sentinel_login}{_shown(host)}:{port}{self.query}"


def read_address(url: str) -> Address:
    """Take an address apart. Raises InvalidInput, which says which part is wrong and shows no password."""
    if _SINGLE.match(url):
        return Address(url, "single")
    match = _SEVERAL.fullmatch(url)
    if match is None or match[2] not in _FORMS:
        forms = ", ".join(_FORMS.values())
        raise InvalidInput(f"expected redis://, rediss:// or unix:// and an address, or {forms}")
    scheme, kind, login, hosts, path, query, fragment = match.groups()
    if fragment is not None:
        raise _wrong(kind, "it has a '#': write %23 where it belongs to a password")
    found = _hosts(kind, hosts)
    parameters, sentinel_login = _parameters(kind, query or "")
    service, db = _service(path or "") if kind == "sentinel" else ("", _no_db(path or ""))
    return Address(
        url, "sentinel" if kind == "sentinel" else "cluster", scheme, f"{login}@" if login else "", found, service, db,
        parameters, sentinel_login,
    )  # fmt: skip


def _hosts(kind: str, text: str) -> tuple[Host, ...]:
    found: list[Host] = []
    for place, word in enumerate(text.split(","), 1):
        match = _HOST.fullmatch(word)
        port = int(match[2] or _PORTS[kind]) if match else 0
        if match is None or not 0 < port < 65_536:
            raise _wrong(kind, f"number {place} of its hosts is no host, or host and port")
        found.append((match[1].strip("[]"), port))
    return tuple(found)


def _parameters(kind: str, text: str) -> tuple[str, str]:
    """What follows the question mark, and the login of the sentinels."""
    pairs = parse_qsl(text, keep_blank_values=True)
    given = dict(pairs)
    if kind == "cluster" and "db" in given:
        raise _wrong(kind, "a cluster has no other database than 0: leave db out")
    unknown = [name for name in given if name.startswith("sentinel_") and name not in _OF_SENTINELS]
    if unknown or (kind == "cluster" and any(name in given for name in _OF_SENTINELS)):
        names = ", ".join(unknown or (name for name in given if name in _OF_SENTINELS))
        raise _wrong(kind, f"{names} is no parameter of it")
    user, password = (quote(given.get(name, ""), safe="") for name in _OF_SENTINELS)
    rest = urlencode([pair for pair in pairs if pair[0] not in _OF_SENTINELS])
    return f"?{rest}" if rest else "", f"{user}:{password}@" if password else ""


def _service(path: str) -> tuple[str, int]:
    service, _, db = path.removeprefix("/").partition("/")
    if not service:
        raise _wrong("sentinel", "it does not name the service, as the sentinels' own `sentinel monitor NAME` does")
    if db and not re.fullmatch(r"\d{1,5}", db):
        raise _wrong("sentinel", "what follows the service is no number of a database")
    return service, int(db or 0)


def _no_db(path: str) -> int:
    if path not in ("", "/", "/0"):
        raise _wrong("cluster", "a path follows its hosts, and a cluster has no other database than 0")
    return 0


def _wrong(kind: str, why: str) -> InvalidInput:
    return InvalidInput(f"{why}; expected {_FORMS[kind]}")


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
