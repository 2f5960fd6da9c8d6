"""Debian's packages: installed on this machine, or into a root for an image."""

import os
import subprocess
from pathlib import Path

DOCKER = "/usr/bin/docker"
"""The package's own client; another one on PATH may speak to another engine."""


class EngineError(Exception):
    """There is no engine, or no image, for the reason it gives."""


def run(words: list[str], *, why: str, timeout: float = 600, **options: object) -> str:
    """Run a command and return its output; EngineError with its last words when it fails."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", check=True, timeout=timeout, **options
        )
    except FileNotFoundError:
        raise EngineError(f"{why}: {words[0]} is not here") from None
    except subprocess.TimeoutExpired:
        raise EngineError(f"{why}: {words[0]} did not end in {timeout:g} s") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip().splitlines()[-5:]
        raise EngineError("\n  ".join([f"{why}: {words[0]} failed", *said])) from None
    return done.stdout.strip()


def require_root(why: str) -> None:
    """EngineError unless this is root on Debian."""
    if os.geteuid() != 0:
        raise EngineError(f"{why} wants root")
    if not Path("/etc/debian_version").exists():
        raise EngineError(f"{why} wants Debian: its packages are used")


def install(*wanted: str) -> None:
    """Install those of the packages that are not here. EngineError when that is not possible."""
    missing = [name for name in wanted if not _is_here(name)]
    if not missing:
        return
    require_root(f"installing {', '.join(missing)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], why="Debian's package lists", env=env)
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], why="installing", env=env)


def _is_here(name: str) -> bool:
    asked = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", name], capture_output=True, text=True, check=False)
    return asked.stdout == "install ok installed"


def debian_root(folder: Path, packages: list[str]) -> None:
    """Make a minimal Debian root with these packages, of this machine's release and from its package server."""
    require_root("making a Debian root")
    install("debootstrap")
    words = ["debootstrap", "--variant=minbase", f"--include={','.join(['ca-certificates', *packages])}"]
    run([*words, _release(), str(folder), _package_server()], why="making a Debian root", timeout=900)


def _package_server() -> str:
    """The first one apt knows: the release itself comes before its security updates."""
    sources = Path("/etc/apt/sources.list.d")
    for path in [*sorted(sources.glob("*.sources")), Path("/etc/apt/sources.list"), *sorted(sources.glob("*.list"))]:
        for line in path.read_text().splitlines() if path.exists() else ():
            if line.startswith(("deb ", "URIs:")):
                return next(word for word in line.split() if "://" in word)
    raise EngineError("apt knows no package server: there is none in /etc/apt")


def _release() -> str:
    lines = (line.partition("=") for line in Path("/etc/os-release").read_text().splitlines())
    return next((value for name, _, value in lines if name == "VERSION_CODENAME"), "bookworm")
