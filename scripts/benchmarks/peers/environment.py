"""Installing peers into .bench/ at the root of the repository, each apart: they disagree on redis."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.peers.contenders import PEERS, Peer

_FOLDER = Path(__file__).resolve().parents[3] / ".bench"
_HERE = Path(__file__).parent


def wanted(names: str) -> list[Peer]:
    """Return the peers named, `all` for all; a name without a variant means all its variants."""
    chosen = [word.strip() for word in names.split(",") if word.strip()]
    known = {name for one in PEERS for name in (one.name, one.environment)}
    if unknown := set(chosen) - known - {"all"}:
        raise SystemExit(f"no peer {', '.join(sorted(unknown))}; there are {', '.join(one.name for one in PEERS)}")
    return [one for one in PEERS if "all" in chosen or one.name in chosen or one.environment in chosen]


def installed(chosen: Sequence[Peer]) -> tuple[list[Peer], dict[str, str]]:
    """Return the peers that can be measured, installed, and why the others cannot."""
    ready: list[Peer] = []
    skipped: dict[str, str] = {}
    for one in chosen:
        try:
            ready.append(_ready(one))
        except (OSError, subprocess.CalledProcessError) as error:
            skipped[one.name] = _reason(error)
            print(f"skipped {one.name}: {skipped[one.name]}", file=sys.stderr)
    return ready, skipped


def _ready(peer: Peer) -> Peer:
    """Install it when it is missing or its pins have changed; return it with its place filled in."""
    folder = _FOLDER / ("" if peer.kind == "node" else "peers") / peer.environment
    stamp, pins = folder / "pins", "\n".join(peer.needs)
    if not (stamp.exists() and stamp.read_text() == pins):
        print(f"installing {', '.join(peer.needs)} into .bench/", file=sys.stderr)
        _FOLDER.mkdir(exist_ok=True)
        (_FOLDER / ".gitignore").write_text("*\n")
        (_install_node if peer.kind == "node" else _install_python)(folder, peer.needs)
        stamp.write_text(pins)
    if peer.kind == "node":
        modules = (*peer.variables, f"NODE_PATH={folder / 'node_modules'}")
        return replace(peer, module=str(_HERE / peer.module), variables=modules)
    return replace(peer, python=str(folder / "bin" / "python"))


def _install_python(folder: Path, needs: Sequence[str]) -> None:
    """Make it with venv and pip; with uv where Python came without them."""
    python = str(folder / "bin" / "python")
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(folder)], capture_output=True, text=True, check=False
    )
    if made.returncode == 0:
        _run([python, "-m", "pip", "install", "--disable-pip-version-check", "-qq", *needs])
        return
    _run(["uv", "venv", "-q", "--clear", "--python", sys.executable, str(folder)])
    _run(["uv", "pip", "install", "-q", "--python", python, *needs])


def _install_node(folder: Path, needs: Sequence[str]) -> None:
    """Make a folder of modules; the lock file stays in it."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise FileNotFoundError(f"no {program} on PATH")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text("{}\n")
    _run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), *needs])


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, capture_output=True, text=True, check=True)


def _reason(error: OSError | subprocess.CalledProcessError) -> str:
    """Return one line: the last that the installer said."""
    said = (error.stderr or error.stdout or "").strip() if isinstance(error, subprocess.CalledProcessError) else ""
    return said.splitlines()[-1] if said else str(error)
