"""A tunnel to a daemon's socket that a test can cut, refuse and open again; it knows nothing of what passes."""

import contextlib
import socket
import threading
from typing import Self

_PART = 65_536


class Link:
    """One connection of a client and its twin to the daemon; both are closed when both directions have ended."""

    def __init__(self, client: socket.socket, path: str) -> None:
        self._ends = client, socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError):  # it is not there: the client sees its connection end
            self._ends[1].connect(path)
        self._threads = [
            threading.Thread(target=self._pass, args=ends, name="tunnel-link", daemon=True)
            for ends in (self._ends, self._ends[::-1])
        ]
        for thread in self._threads:
            thread.start()

    def cut(self) -> None:
        """End both sides."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Wait until nothing passes, and let go."""
        self.cut()
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_PART):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


class Tunnel:
    """Listens on a free port of loopback and passes bytes to a unix socket: `with Tunnel(path) as tunnel`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._links: list[Link] = []
        self._lock = threading.Lock()
        self._is_refusing = False
        self.refused = 0

    @property
    def address(self) -> str:
        """The address for a client of the daemon."""
        return f"tcp://127.0.0.1:{self._listening.getsockname()[1]}"

    def refuse(self) -> None:
        """End all connections, and new ones at once."""
        with self._lock:
            self._is_refusing = True
        self.cut()

    def restore(self) -> None:
        """Let everything pass again."""
        self._is_refusing = False

    def cut(self) -> None:
        """End all connections; new ones are served."""
        with self._lock:
            for link in self._links:
                link.cut()

    def __enter__(self) -> Self:
        self._accepting = threading.Thread(target=self._accept, name="tunnel", daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listening.close()
        for link in self._links:
            link.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:  # a link that is being made when all are cut is cut too
                if self._is_refusing:
                    self.refused += 1
                    client.close()
                else:
                    self._links.append(Link(client, self._path))
