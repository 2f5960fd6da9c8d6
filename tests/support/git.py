"""Repositories that a test makes, and a server of theirs over HTTP that wants a password."""

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

_IDENTITY = {
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always",
}  # fmt: skip


def git(folder: Path, *words: str) -> str:
    """Run git there, whatever the user's configuration says."""
    done = subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **_IDENTITY}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Repository:
    """A repository with a branch `main`."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True)
        self.path, self.url = path, f"file://{path}"
        git(path, "init", "-q", "-b", "main")

    def commit(self, files: dict[str, str], branch: str = "main") -> str:
        """Write these files and commit them; the commit's id."""
        if git(self.path, "branch", "--show-current") != branch:
            git(self.path, "checkout", "-q", "-B", branch)
        for name, text in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)
        git(self.path, "add", "-A")
        git(self.path, "commit", "-q", "-m", "A commit.")
        return git(self.path, "rev-parse", "HEAD")


class GitServer:
    """What came to a server of repositories over HTTP; `hold` lets every request wait for ever."""

    def __init__(self, root: Path, name: str, password: str) -> None:
        self.root, self.hold = root, False
        self.expected = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
        self.authorizations: list[str | None] = []
        self.requests: list[str] = []
        self.url = ""


class _Server(ThreadingHTTPServer):
    """Knows what it is to answer."""

    state: GitServer


class _Handler(BaseHTTPRequestHandler):
    """Answers as git's own program for HTTP does, behind a password."""

    server: _Server

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""

    def _answer(self, body: bytes) -> None:
        state, said = self.server.state, self.headers.get("Authorization")
        state.requests.append(self.path)
        state.authorizations.append(said)
        if state.hold:
            self.rfile.read()  # until the other side goes
        elif said == state.expected:
            self._serve(body)
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _serve(self, body: bytes) -> None:
        done = subprocess.run(
            ["git", "http-backend"], input=body, capture_output=True, check=False, env=self._variables(len(body))
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for field, value in fields.items():
            self.send_header(field, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _variables(self, length: int) -> dict[str, str]:
        path, _, query = self.path.partition("?")
        return {
            **os.environ, **_IDENTITY, "GIT_PROJECT_ROOT": str(self.server.state.root), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "a",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }  # fmt: skip


@contextmanager
def served(root: Path, name: str, password: str) -> Iterator[GitServer]:
    """Serve the repositories below a folder, to those who give the name and the password."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.state = GitServer(root, name, password)
    server.state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
