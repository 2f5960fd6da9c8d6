"""Two network namespaces with one cable between them, to be cut: a partition as the kernel makes it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

NEAR, FAR = "192.0.2.1", "192.0.2.2"  # addresses that are nobody's
_NOBODY = "02:00:00:00:00:99"


class Cable:
    """Namespaces `near` and `far`, joined by a cable; a context manager. Skips the test where that is not permitted.

    Files are shared: what runs in a namespace is still reached by its socket file. The machine's own network is left
    alone.
    """

    def __init__(self) -> None:
        name = f"sluice-{os.getpid()}"
        self.near, self.far = f"{name}-near", f"{name}-far"

    def command(self, namespace: str, *words: str | Path) -> list[str]:
        """The words that run a program in a namespace, in the same process."""
        return ["ip", "netns", "exec", namespace, *map(str, words)]

    def wrapped(self, program: Path, folder: Path) -> Path:
        """A program that is the same one, near the cable."""
        path = folder / f"{program.name}-near"
        path.write_text(f'#!/bin/sh\nexec ip netns exec {self.near} "{program}" "$@"\n')
        path.chmod(0o755)
        return path

    def cut(self) -> None:
        """Nothing passes, either way, and nobody is told."""
        _ip("-n", self.far, "link", "set", "far", "down")

    def cut_answers(self) -> None:
        """What goes near arrives, what goes far does not: it is addressed to nobody."""
        _ip("-n", self.near, "neigh", "replace", FAR, "lladdr", _NOBODY, "dev", "near", "nud", "permanent")

    def mend(self) -> None:
        """Everything passes again."""
        _ip("-n", self.far, "link", "set", "far", "up")
        subprocess.run(["ip", "-n", self.near, "neigh", "del", FAR, "dev", "near"], capture_output=True, check=False)

    def __enter__(self) -> Self:
        if sys.platform != "linux":
            pytest.skip("network namespaces are Linux's")
        try:
            self._lay()
        except (OSError, subprocess.CalledProcessError) as error:
            self._remove()
            pytest.skip(f"network namespaces cannot be made here: {getattr(error, 'stderr', error)}")
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _lay(self) -> None:
        for namespace in (self.near, self.far):
            _ip("netns", "add", namespace)
        _ip("-n", self.near, "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", self.far)
        for namespace, device, address in ((self.near, "near", NEAR), (self.far, "far", FAR)):
            _ip("-n", namespace, "address", "add", f"{address}/30", "dev", device)
            for up in ("lo", device):
                _ip("-n", namespace, "link", "set", up, "up")

    def _remove(self) -> None:
        for namespace in (self.near, self.far):
            try:
                subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)
            except OSError:
                return


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], capture_output=True, check=True, text=True)
