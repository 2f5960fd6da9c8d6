"""Certificates for the tests, made by openssl in a folder: a CA, what it signs, and a CA that nobody knows."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest


class Pair(NamedTuple):
    """A certificate and its key."""

    certificate: Path
    key: Path


class Certificates:
    """Of one CA. Skips the test where there is no openssl, fails it where CI=true."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        program = shutil.which("openssl")
        if program is None:
            if os.environ.get("CI") == "true":
                pytest.fail("no openssl on PATH")
            pytest.skip("no openssl on PATH")
        self._program, self._folder, self._name = program, folder, name
        self.ca = self._make(name, "-x509", "-days", "2", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def pair(self, name: str, *, host: str = "DNS:localhost,IP:127.0.0.1", days: int = 2) -> Pair:
        """A certificate that this CA signed, for these hosts."""
        names = ("-addext", f"subjectAltName={host}")
        issued = ("-CA", str(self.ca.certificate), "-CAkey", str(self.ca.key), "-days", str(days))
        return self._make(name, "-x509", *issued, *names, "-addext", "basicConstraints=critical,CA:FALSE")

    def _make(self, name: str, *words: str) -> Pair:
        made = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        files = ("-keyout", made.key, "-out", made.certificate)
        command = [self._program, "req", *curve, *files, "-subj", f"/CN={name}", *words]
        subprocess.run(command, check=True, capture_output=True)
        return made
