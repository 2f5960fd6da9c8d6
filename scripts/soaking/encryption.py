"""Certificates for a soak with TLS: a CA of its own, one for the server, one for everybody else."""

import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlencode

from .server import SoakError


class Encryption:
    """What a server that wants certificates is set with, and what whoever speaks to it brings."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("openssl")
        if program is None:
            raise SoakError("no openssl on PATH: --tls makes certificates with it")
        self._program, self._folder = program, folder
        folder.mkdir(parents=True, exist_ok=True)
        self._make("ca", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        for name in ("server", "member"):
            issued = ("-CA", f"{folder / 'ca.crt'}", "-CAkey", f"{folder / 'ca.key'}")
            names = ("-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE")
            self._make(name, *issued, *names)

    @property
    def settings(self) -> dict[str, str]:
        """Of the server, beside its port."""
        return {
            "tls-cert-file": f"{self._folder / 'server.crt'}", "tls-key-file": f"{self._folder / 'server.key'}",
            "tls-ca-cert-file": f"{self._folder / 'ca.crt'}", "tls-auth-clients": "yes",
        }  # fmt: skip

    @property
    def files(self) -> dict[str, str]:
        """Of a client, as redis-py calls them."""
        return {
            "ssl_ca_certs": f"{self._folder / 'ca.crt'}", "ssl_certfile": f"{self._folder / 'member.crt'}",
            "ssl_keyfile": f"{self._folder / 'member.key'}",
        }  # fmt: skip

    def address(self, port: int) -> str:
        """The address of a server with all that is wanted."""
        return f"rediss://127.0.0.1:{port}/0?{urlencode(self.files)}"

    def _make(self, name: str, *words: str) -> None:
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-x509")
        files = ("-keyout", f"{self._folder / name}.key", "-out", f"{self._folder / name}.crt")
        command = [self._program, "req", *curve, *files, "-subj", f"/CN=soak-{name}", *words]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            raise SoakError(f"openssl makes no certificate: {made.stderr[-500:]}")
