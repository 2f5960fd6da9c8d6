"""The compose stack on a real engine: `scripts/compose-demo`, and that its count would see what it promises not to."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.docker import DockerEngine
from tests.support.tools import compose

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 900


def leftovers(engine: DockerEngine) -> set[str]:
    """Names of what a demonstration has made and not removed."""
    found = {
        *engine.docker("ps", "--all", "--format", "{{.Names}}").split(),
        *engine.docker("network", "ls", "--format", "{{.Name}}").split(),
        *engine.docker("volume", "ls", "--format", "{{.Name}}").split(),
        *engine.docker("images", "--format", "{{.Repository}}").split(),
    }
    return {name for name in found if name.startswith("sluice-demo-")}


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
def test_the_stack_loses_and_doubles_nothing_while_it_is_scaled_killed_and_restarted(docker_engine: DockerEngine):
    compose()
    for kind in ("python", "redis", "prometheus"):
        docker_engine.stand_in(kind)
    before = leftovers(docker_engine)
    played = subprocess.run(
        [ROOT / "scripts" / "compose-demo", "--stand-ins", "--json", "--runs", "1000"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert played.returncode in {0, 1}, played.stderr
    lines = json.loads(played.stdout)
    assert [line for line in lines if not line["holds"]] == [], played.stderr
    assert {line["what"] for line in lines} >= {
        "lost",
        "ended twice",
        "most at once, pool",
        "in the killed worker's hands",
    }
    assert leftovers(docker_engine) <= before
