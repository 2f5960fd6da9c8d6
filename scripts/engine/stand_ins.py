"""Local stand-ins for public images, made from Debian's packages, for machines that cannot pull any.

Each is a Debian root of this machine's release, packed once and kept. What the real image has and Sluice relies on is
there: where things are, which user owns the data, what is started.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packages import DOCKER, EngineError, debian_root, install, require_root, run

CACHE = Path("/var/cache/sluice-stand-ins")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
NAME = "sluice-stand-in"
REDIS_USER = 999
"""Owner of /data in the public image, on Debian."""
_TRUST = [f"ENV {name}={CERTIFICATES}" for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")]


@dataclass(frozen=True)
class Kind:
    """What goes into an image: Debian packages (None: only a static busybox), its settings, its last touches."""

    packages: list[str] | None
    changes: list[str]
    finish: Callable[[Path], None] = lambda _: None

    @property
    def mark(self) -> str:
        """Changes with what is in it."""
        return hashlib.sha256(repr((self.packages, self.changes)).encode()).hexdigest()[:12]


def _python(root: Path) -> None:
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()  # the public image's pip installs without being asked twice
    (root / "usr/bin/python").unlink(missing_ok=True)
    (root / "usr/bin/python").symlink_to("python3")


def _redis(root: Path) -> None:
    (root / "data").mkdir(exist_ok=True)
    os.chown(root / "data", REDIS_USER, REDIS_USER)


def _prometheus(root: Path) -> None:
    (root / "prometheus").mkdir(exist_ok=True)
    os.chown(root / "prometheus", 65534, 65534)


def _busybox(root: Path) -> None:
    (root / "bin").mkdir()
    (root / "tmp").mkdir(mode=0o1777)
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    names = run(["/bin/busybox", "--list"], why="busybox").split()
    for name in names:
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")


KINDS = {
    "python": Kind(["python3", "python3-pip", "python3-venv"], [*_TRUST, 'CMD ["python3"]'], _python),
    "redis": Kind(["redis-server", "redis-tools"], ["WORKDIR /data", "EXPOSE 6379", 'CMD ["redis-server"]'], _redis),
    "prometheus": Kind(
        ["prometheus"],
        [
            "EXPOSE 9090",
            "USER nobody",
            'ENTRYPOINT ["prometheus"]',
            'CMD ["--config.file=/etc/prometheus/prometheus.yml","--storage.tsdb.path=/prometheus"]',
        ],
        _prometheus,
    ),
    "busybox": Kind(None, ['CMD ["sh"]'], _busybox),
}


def stand_in(kind: str, names: list[str]) -> list[str]:
    """Make the image of this kind, unless it is there, and give it the names; returns a line for each."""
    wanted = KINDS[kind]
    with _alone(kind):
        image = f"{NAME}:{kind}-{wanted.mark}"
        if not run([DOCKER, "images", "--quiet", image], why="asking for images"):
            run([DOCKER, "tag", _import(kind, wanted), image], why="naming an image")
        given = names or [f"{NAME}:{kind}"]
        for name in given:
            run([DOCKER, "tag", image, name], why="naming an image")
    return [f"{name} is a stand-in: {kind}" for name in given]


@contextmanager
def _alone(kind: str) -> Iterator[None]:
    """Two callers of one kind do not make it twice."""
    if not CACHE.is_dir():
        require_root(f"making {CACHE}")
        CACHE.mkdir(parents=True)
    with (CACHE / f"{kind}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _import(kind: str, wanted: Kind) -> str:
    archive = CACHE / f"{kind}-{wanted.mark}.tar"
    if not archive.exists():
        _pack(kind, wanted, archive)
    words = [DOCKER, "import"]
    for change in [*wanted.changes, *_index()]:
        words += ["--change", change]
    return run([*words, str(archive)], why="importing an image")


def _pack(kind: str, wanted: Kind, archive: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=CACHE))
    folder.chmod(0o755)
    try:
        if wanted.packages is None:
            install("busybox-static")
        else:
            debian_root(folder, wanted.packages)
            _tidy(folder)
        wanted.finish(folder)
        part = archive.with_suffix(".part")
        with tarfile.open(part, "w") as packed:
            packed.add(folder, arcname=".")
        part.rename(archive)
    except OSError as error:
        raise EngineError(f"making the stand-in {kind}: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _tidy(root: Path) -> None:
    """Trust what this machine trusts, and drop what apt kept."""
    shutil.copy(CERTIFICATES, root / CERTIFICATES.lstrip("/"))
    for pattern in ("var/cache/apt/*", "var/lib/apt/lists/*", "usr/share/doc/*", "usr/share/man/*"):
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _index() -> list[str]:
    """The package index that pip uses here, when it is one that a container can reach."""
    asked = subprocess.run(
        ["python3", "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    )
    url = os.environ.get("PIP_INDEX_URL") or asked.stdout.strip()
    return [f"ENV PIP_INDEX_URL={url}"] if url.startswith(("http://", "https://")) else []
