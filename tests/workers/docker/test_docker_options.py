"""What a pool may set for containers: each option on a real daemon, as asked for where one machine cannot show it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dispatcher import Client, RunFailed
from dispatcher.job_template import Level, check_variables, render
from tests.support.containers import docker_type, hand_off
from workers.docker import DockerConfiguration
from workers.docker.configuration import size_of
from workers.docker.labels import labels_of

pytestmark = pytest.mark.docker
PREFECT = Path(__file__).resolve().parents[2] / "job_template" / "kinds" / "docker.json"


@pytest.fixture
async def made(pool: str, image: str, engine: Any) -> Any:
    """The container of a command with these job variables, as the daemon knows it, and what it said."""
    kind, said = docker_type(pool)
    await kind.open()

    async def make(command: Any = "true", **variables: Any) -> tuple[dict[str, Any], list[str]]:
        said.lines.clear()
        run = hand_off(command=command, job_variables={"image": image, **variables})
        infrastructure = await kind.start(run)
        outcome = await kind.watch(run, infrastructure)
        found = engine.inspect_container(infrastructure.rpartition("/")[2])
        await kind.forget(run)
        assert outcome.outcome == "completed", (outcome, said.lines)
        return found, said.texts

    yield make
    await kind.close()


@pytest.fixture
def networks(engine: Any, pool: str) -> Iterator[list[str]]:
    names = [f"{pool}-a", f"{pool}-b"]
    made = [engine.create_network(name)["Id"] for name in names]
    yield names
    for network in made:
        engine.remove_network(network)


@pytest.fixture
def volume(engine: Any, pool: str) -> Iterator[str]:
    yield engine.create_volume(pool)["Name"]
    engine.remove_volume(pool, force=True)


async def test_folder_user_and_name(made: Any):
    found, said = await made(
        "pwd; id -u; id -g; hostname", working_dir="/tmp", user="12:34", hostname="box", name="nightly"
    )
    assert said == ["/tmp", "12", "34", "box"]
    assert labels_of(found)["sluice.name"] == "nightly"


async def test_labels_say_whose_a_container_is(made: Any):
    found, _ = await made(labels={"team": "core"})
    labels = labels_of(found)
    assert labels["team"] == "core"
    assert found["Name"] == f"/sluice-{labels['sluice.pool']}-{labels['sluice.run-id']}-1"
    assert labels["sluice.claim-token"] == labels["sluice.attempt"] == "1"


async def test_it_is_connected_to_all_its_networks_before_it_starts(made: Any, networks: list[str]):
    found, said = await made("ls /sys/class/net | cat", networks=networks)
    assert set(found["NetworkSettings"]["Networks"]) == set(networks)
    assert len(said) == 3, "lo and two more"


@pytest.mark.parametrize(("mode", "links"), [("none", 1), ("host", None)])
async def test_network_modes(made: Any, mode: str, links: int | None):
    found, said = await made("ls /sys/class/net | cat", network_mode=mode)
    assert found["HostConfig"]["NetworkMode"] == mode
    assert links is None or len(said) == links


async def test_extra_hosts(made: Any):
    _, said = await made("cat /etc/hosts", extra_hosts={"database": "10.1.2.3"})
    assert "10.1.2.3\tdatabase" in said


async def test_volumes_of_the_host_and_of_the_daemon(made: Any, volume: str, tmp_path: Path):
    (tmp_path / "given").write_text("from outside\n")
    script = "cat /in/given; echo kept > /keep/note; echo made > /out/note; echo no > /in/note || echo refused"
    (tmp_path / "out").mkdir()
    binds = [f"{tmp_path}:/in:ro", f"{volume}:/keep", f"{tmp_path}/out:/out"]
    _, said = await made(f"set +e; {script}", volumes=binds)
    assert [text for text in said if "sh:" not in text] == ["from outside", "refused"]
    assert (tmp_path / "out" / "note").read_text() == "made\n"
    assert (await made("cat /keep/note", volumes=[f"{volume}:/keep:ro"]))[1] == ["kept"]


async def test_limits_of_memory_processors_and_processes(made: Any):
    found, said = await made(
        "ulimit -n; df /dev/shm | cat", mem_limit="64m", memswap_limit="128m", cpus=0.5, shm_size="8m",
        ulimits=[{"name": "nofile", "soft": 77}],
    )  # fmt: skip
    host = found["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"], host["ShmSize"]) == (
        64 * 2**20, 128 * 2**20, 500_000_000, 8 * 2**20,
    )  # fmt: skip
    assert said[0] == "77"
    assert "8192" in said[2].split()


async def test_rights(made: Any):
    script = "set +e; echo no > /note || echo refused; echo yes > /own/note && cat /own/note"
    found, said = await made(
        script, read_only=True, tmpfs={"/own": "size=1m"}, cap_add=["NET_ADMIN"], cap_drop=["CHOWN"]
    )
    assert [text for text in said if "sh:" not in text] == ["refused", "yes"]
    assert (found["HostConfig"]["CapAdd"], found["HostConfig"]["CapDrop"]) == (["NET_ADMIN"], ["CHOWN"])
    assert not found["HostConfig"]["Privileged"]


async def test_an_init_is_the_first_process_when_wanted(made: Any):
    assert (await made("cat /proc/1/comm; true", init=False))[1] == ["sh"]
    assert (await made("cat /proc/1/comm; true", init=True))[1] != ["sh"]


async def test_output_that_nobody_wants_is_left_alone(made: Any):
    _, said = await made("echo secret", stream_output=False)
    assert said == []


async def test_the_daemon_keeps_little_of_a_containers_output_and_does_not_remove_it_by_itself(made: Any):
    found, _ = await made()
    assert found["HostConfig"]["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert not found["HostConfig"]["AutoRemove"]


async def test_platform_and_devices_are_asked_for(pool: str, image: str, engine: Any, monkeypatch: pytest.MonkeyPatch):
    kind, _ = docker_type(pool)
    await kind.open()
    asked: list[tuple[Any, Any, Any]] = []
    create = kind._daemon.client.create_container_from_config

    def recorded(body: dict[str, Any], name: str, platform: str | None) -> Any:
        asked.append((body["HostConfig"].pop("DeviceRequests"), name, platform))
        return create(body, name, None)

    monkeypatch.setattr(kind._daemon.client, "create_container_from_config", recorded)
    wanted = {"driver": "nvidia", "count": -1, "capabilities": [["gpu", "utility"]], "options": {"a": "b"}}
    run = hand_off(
        command="true", job_variables={"image": image, "platform": "linux/arm64", "device_requests": [wanted]}
    )
    await kind.prepare(run)
    await kind.stop(run, "", 0)
    await kind.close()
    ((devices, name, platform),) = asked
    assert platform == "linux/arm64"
    assert name == f"sluice-{pool}-{run.id}-1"
    assert devices == [
        {
            "Driver": "nvidia", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu", "utility"]],
            "Options": {"a": "b"},
        }
    ]  # fmt: skip


async def test_a_privileged_container_is_asked_for_and_not_started_here(
    pool: str, image: str, containers: Any, engine: Any
):
    """A daemon that has not all rights itself cannot start one."""
    kind, _ = docker_type(pool)
    await kind.open()
    run = hand_off(command="true", job_variables={"image": image, "privileged": True})
    await kind.prepare(run)
    assert engine.inspect_container(containers()[0]["Id"])["HostConfig"]["Privileged"]
    await kind.stop(run, "", 0)
    await kind.close()


def test_the_sdk_is_imported_by_nobody_who_does_not_open_a_daemon():
    code = "import sys, workers.docker; sys.exit('docker' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("given", "bytes_"),
    [("512m", 512 * 2**20), ("1.5g", 3 * 2**29), (77, 77), ("8k", 8192), ("1GiB", 2**30), ("-1", -1)],
)
def test_sizes(given: Any, bytes_: int):
    assert size_of(given) == bytes_


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "image"),
        ({"mem_limit": "much"}, "no size"),
        ({"volumes": ["/in"]}, "no volume"),
        ({"networks": ["a"], "network_mode": "host"}, "exclude each other"),
        ({"env": {"A=B": "1"}}, "no variable"),
        ({"labels": {"sluice.run-id": "another"}}, "take another name"),
        ({"image_pull_policy": "sometimes"}, "always"),
        ({"container_create_kwargs": {"isolation": "hyperv"}}, "isolation"),
        ({"registry_credentials": "user:password"}, "no JSON"),
        ({"privilegd": True}, "privilegd"),
    ],
)
def test_what_is_wrong_is_said(variables: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        DockerConfiguration.model_validate({"image": "a", **variables} if variables else {})


@pytest.mark.parametrize(
    ("image", "policy"),
    [("a", "always"), ("a:latest", "always"), ("host:5000/a", "always"), ("host:5000/a:1", "if_not_present"),
     ("a@sha256:" + "0" * 64, "if_not_present")],
)  # fmt: skip
def test_what_is_pulled_when_nothing_is_said(image: str, policy: str):
    assert DockerConfiguration(image=image).pull_policy == policy


def test_a_template_of_prefect_makes_containers():
    template = json.loads(PREFECT.read_text())["template"]
    variables = {
        "image": "etl:1", "image_pull_policy": "IfPossible", "env": {"A": "1"}, "networks": ["back"],
        "volumes": ["/srv/in:/in"], "mem_limit": "300m", "name": "nightly", "auto_remove": True,
        "registry_credentials": {"username": "u", "password": "p", "registry_url": "registry", "reauth": True},
        "container_create_kwargs": {"shm_size": "64m", "nano_cpus": 1_500_000_000, "cap_add": ["NET_ADMIN"]},
    }  # fmt: skip
    found = render(template, [Level("run", variables)]).configuration
    known = {name: value for name, value in found.items() if value not in (None, "", {}, [])}
    wanted = DockerConfiguration.model_validate(known)
    assert (wanted.pull_policy, wanted.cpus, wanted.cap_add) == ("if_possible", 1.5, ["NET_ADMIN"])
    assert "p" not in repr(wanted.registry_credentials).replace("password", "").replace("SecretStr", "")
    assert DockerConfiguration.model_validate({"image": "a", "container_create_kwargs": None}).image == "a"


async def test_a_pools_template_can_refuse_what_is_dangerous(client: Client, worker: Any, image: str):
    template = {
        "job_configuration": {"image": "{{ image }}", "privileged": False, "mem_limit": "64m"},
        "variables": {"type": "object", "required": ["image"], "properties": {"image": {"type": "string"}}},
    }
    await client.pools.set_template(client.pool, template)
    assert check_variables(template, [Level("run", {"image": image})], required=True) == []
    run = await client.publish(command=["true"], job_variables={"image": image, "privileged": True})
    with pytest.raises(RunFailed, match="privileged"):
        await client.result(run, 60)
    assert (await client.get(run)).reason == "invalid_job_variables"
    await client.result(await client.publish(command=["true"], job_variables={"image": image}), 60)
