"""The Docker SDK with what it lacks: streams that another thread can end. Only this module imports it.

It is imported when a docker worker opens, in a thread, so that nobody else pays for it. All calls block.
"""

import contextlib
import select
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import requests
import urllib3
from docker import APIClient
from docker.errors import APIError, DockerException
from docker.utils import convert_filters, kwargs_from_env

from .faults import DaemonAway, Refused

T = TypeVar("T")
CALL_SECONDS = 60
_WRITE_SECONDS = 10.0
_PING_SECONDS = 5.0
_PART = 65_536
_AWAY = (requests.RequestException, urllib3.exceptions.HTTPError, DockerException, OSError)


def connect(address: str | None) -> "Connection":
    """A connection to the daemon at an address, else where DOCKER_HOST says. Raises DaemonAway."""
    found: dict[str, Any] = {"base_url": address} if address else {**kwargs_from_env()}
    return translated(lambda: Connection(**found, version="auto", timeout=CALL_SECONDS))


def translated(call: Callable[[], T]) -> T:
    """Make a call. Raises DaemonAway, Refused."""
    try:
        return call()
    except APIError as error:
        status = getattr(error.response, "status_code", None) or 500
        raise Refused(int(status), str(error.explanation or error)) from error
    except _AWAY as error:
        raise DaemonAway(str(error)) from error


class Stream:
    """Bytes as they come. `close` may be called by any thread, and ends it. `was_cut`: there is more of it."""

    def __init__(self, response: requests.Response, wire: Any) -> None:
        self._response, self._socket = response, getattr(wire, "_sock", wire)
        self.was_cut = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            while part := self._response.raw.read1(_PART):
                yield part
        except (*_AWAY, ValueError, AttributeError):
            self.was_cut = True  # or closed by us: the caller asks what has become of the container
        finally:
            self._response.close()

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError, AttributeError):
            self._socket.shutdown(socket.SHUT_RDWR)


class Stdin:
    """Writes to the stdin of a container. Closing it leaves the container's end open."""

    def __init__(self, response: requests.Response, wire: Any) -> None:
        self._response, self._socket = response, getattr(wire, "_sock", wire)
        self._socket.settimeout(_WRITE_SECONDS)

    @property
    def is_cut(self) -> bool:
        """Whether the other side has closed it: what is written then is lost without a word."""
        readable, _, _ = select.select([self._socket], [], [], 0)
        if not readable:
            return False
        try:
            return not self._socket.recv(4_096)
        except OSError:
            return True

    def write(self, data: bytes) -> None:
        """Write all of it. Raises OSError."""
        self._socket.sendall(data)

    def close(self) -> None:
        """Let go of it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._response.close()


class Connection(APIClient):
    """The daemon's API. The SDK's own stubs leave out what a subclass may use."""

    if TYPE_CHECKING:
        _get: Any
        _post: Any
        _raise_for_status: Any
        _url: Any
        _get_raw_response_socket: Any
        _disable_socket_timeout: Any
        create_container_from_config: Any
        inspect_image: Any

    def answers(self) -> bool:
        """Ask whether it answers, soon."""
        self._raise_for_status(self._get(self._url("/_ping"), timeout=_PING_SECONDS))
        return True

    def log_stream(self, container: str, since: str, *, follow: bool = True) -> Stream:
        """Its log, multiplexed, with times: from an instant on, until it ends."""
        params = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": int(follow), "since": since, "tail": "all"}
        response = self._get(self._url("/containers/{0}/logs", container), params=params, stream=True)
        wire = self._get_raw_response_socket(response)
        self._disable_socket_timeout(wire)
        return Stream(response, wire)

    def error_tail(self, container: str, lines: int) -> bytes:
        """The last lines that it wrote to stderr, without their frames."""
        return bytes(self.logs(container, stdout=False, stderr=True, tail=lines))

    def event_stream(self, filters: dict[str, Any]) -> Stream:
        """Events, each a line of JSON."""
        params = {"filters": convert_filters(filters)}
        response = self._get(self._url("/events"), params=params, stream=True, timeout=None)
        return Stream(response, self._get_raw_response_socket(response))

    def stdin_of(self, container: str) -> "Stdin":
        """A way to its stdin."""
        url = self._url("/containers/{0}/attach", container)
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        response = self._post(url, params={"stdin": 1, "stream": 1}, headers=upgrade, stream=True)
        return Stdin(response, self._get_raw_response_socket(response))
