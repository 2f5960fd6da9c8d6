"""The files of compose/: valid for Docker Compose old and new, hardened, and with the settings that Sluice wants."""

import copy
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from tests.support.composed import FOLDER, Secrets, read, read_both
from tests.support.tools import compose

OURS = {"init", "scheduler", "dispatcher", "worker", "worker-docker", "cli"}
LIMITS = ("mem_limit", "cpus")


def faults(document: dict[str, Any]) -> str:
    """What the compose specification has against a file: unknown names, wrong values, what is used and not there."""
    try:
        found = PyCompose.from_yaml(yaml.safe_dump(document))
        found.validate_networks()
        found.validate_volumes()
        found.validate_secrets()
    except ValueError as error:
        return str(error)
    return ""


@pytest.fixture
def both() -> dict[str, Any]:
    return read_both()


def test_the_files_are_valid_for_the_compose_specification(both: dict[str, Any]):
    assert faults(read("compose.yaml")) == ""
    assert faults(both) == ""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("redis", "mem_limitt"), "1g"),
        (("redis", "healthcheck", "retries"), "many"),
        (("init", "depends_on", "redis", "condition"), "service_well"),
        (("worker", "secrets"), ["nothing"]),
    ],
)
def test_a_fault_in_a_file_would_be_seen(both: dict[str, Any], path: tuple[str, ...], value: object):
    changed = copy.deepcopy(both)
    place = changed["services"]
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    assert faults(changed)


@pytest.mark.parametrize("files", [("compose.yaml",), ("compose.yaml", "compose.ha.yaml")])
def test_docker_compose_reads_them(files: tuple[str, ...], tmp_path: Path):
    secrets = Secrets(tmp_path / "secrets")
    words = [word for file in files for word in ("-f", str(FOLDER / file))]
    done = subprocess.run(
        [*compose(), *words, "config", "--quiet"],
        env={**os.environ, "SLUICE_SECRETS": str(secrets.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_no_service_may_more_than_it_needs(both: dict[str, Any]):
    for name, service in both["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only") is True or name == "grafana", name
        assert [limit for limit in LIMITS if limit not in service] == [], name
        assert "privileged" not in service, name
        assert "user" in service or name in OURS | {"prometheus", "grafana"}, f"{name} runs as its image's user"


def test_only_the_docker_worker_reaches_the_engine_and_it_is_asked_for_by_name(both: dict[str, Any]):
    with_socket = [name for name, service in both["services"].items() if "docker.sock" in str(service.get("volumes"))]
    assert with_socket == ["worker-docker"]
    assert both["services"]["worker-docker"]["profiles"] == ["docker"]


def test_ports_are_open_on_this_machine_alone(both: dict[str, Any]):
    ports = {name: service["ports"] for name, service in both["services"].items() if "ports" in service}
    assert set(ports) == {"prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for found in ports.values() for port in found)


def test_what_runs_long_is_asked_how_it_is_and_given_time_to_end(both: dict[str, Any]):
    for name in ("redis", "scheduler", "dispatcher", "worker", "worker-docker", "redis-replica", "sentinel-1"):
        service = both["services"][name]
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name
        assert int(service["stop_grace_period"].removesuffix("s")) >= 15, name
    for name in ("worker", "worker-docker"):  # the grace of its runs, that of cancelled ones, and 15 s to hand back
        service = both["services"][name]
        assert (
            int(service["stop_grace_period"].removesuffix("s"))
            >= int(service["environment"]["SLUICE_GRACE_SECONDS"]) + 25
        )


def test_every_service_of_ours_logs_in_as_a_user_of_its_own_that_the_server_has(both: dict[str, Any]):
    template = (FOLDER / "redis" / "users.acl.template").read_text()
    for name in OURS:
        service = both["services"][name]
        user = service["environment"]["SLUICE_REDIS_USERNAME"]
        assert f"user {user} on @{user}@ " in template, name
        assert service["secrets"] == [{"source": f"redis_{user}", "target": "redis_password"}], name
        assert service["environment"]["SLUICE_REDIS_PASSWORD_FILE"] == "/run/secrets/redis_password"
    assert "user default off " in template


def test_with_both_files_everybody_asks_the_sentinels_where_the_master_is(both: dict[str, Any]):
    services = both["services"]
    places = [services[f"sentinel-{n}"]["networks"]["server"]["ipv4_address"] for n in (1, 2, 3)]
    for name in OURS:
        assert services[name]["environment"]["SLUICE_REDIS_URL"] == f"redis+sentinel://{','.join(places)}/sluice", name
    for name in ("publisher", "redis", "redis-replica"):
        assert services[name]["environment"]["SENTINELS"].split() == places, name


def test_with_both_files_each_server_may_be_the_master_and_each_the_replica(both: dict[str, Any]):
    first, second = (both["services"][name] for name in ("redis", "redis-replica"))
    for setting in ("command", "image", "mem_limit", "healthcheck", "stop_grace_period", "user"):
        assert first[setting] == second[setting], setting
    assert set(first["secrets"]) == set(second["secrets"])
    assert set(first["volumes"]) - {"redis-data:/data"} == set(second["volumes"]) - {"replica-data:/data"}
    for server in (first, second):
        assert server["environment"]["ADDRESS"] == server["networks"]["server"]["ipv4_address"]
        assert server["environment"]["FIRST"] == first["environment"]["ADDRESS"]


def test_every_secret_is_made(both: dict[str, Any], tmp_path: Path):
    made = {path.name for path in Secrets(tmp_path / "secrets").folder.iterdir()}
    assert {Path(secret["file"]).name for secret in both["secrets"].values()} <= made
    ignored = subprocess.run(
        ["git", "check-ignore", "-q", str(FOLDER / "secrets" / "redis_worker")], cwd=FOLDER, check=False
    )
    assert ignored.returncode in {0, 128}  # 128: no checkout


def test_every_file_that_is_mounted_is_there(both: dict[str, Any]):
    for name, service in both["services"].items():
        sources = [str(volume).split(":")[0] for volume in service.get("volumes", ())]
        missing = [source for source in sources if source.startswith("./") and not (FOLDER / source).exists()]
        assert missing == [], name


def test_the_server_keeps_what_it_is_told():
    settings = dict(
        line.split(maxsplit=1)
        for line in (FOLDER / "redis" / "redis.conf").read_text().splitlines()
        if line and not line.startswith("#")
    )
    assert settings["appendonly"] == "yes"
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["aclfile"] == "/run/secrets/redis_users"
    assert settings["stream-node-max-bytes"] == "512"
    assert int(settings["maxmemory"].removesuffix("mb")) * 2 <= 1024  # mem_limit of its container
