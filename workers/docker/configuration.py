"""What a pool may set for the containers of its runs: the typed configuration of the docker worker."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from ..contract import Configuration
from .labels import PREFIX

PullPolicy = Literal["always", "if_not_present", "if_possible", "never"]
_PREFECT_POLICIES = {
    "Always": "always", "IfNotPresent": "if_not_present", "IfPossible": "if_possible", "Never": "never",
}  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_NANO = 1_000_000_000


def size_of(given: str | int) -> int:
    """Bytes of a size such as `512m` or `1.5g`; -1 is without limit. Raises ValueError."""
    if given in (-1, "-1"):
        return -1
    found = _SIZE.fullmatch(str(given).strip())
    if found is None:
        raise ValueError(f"{given!r} is no size: bytes, or a number with k, m, g or t, such as 512m")
    return int(Decimal(found[1]) * _UNITS[found[2].lower()])


class RegistryCredentials(BaseModel, extra="ignore"):
    """Who pulls an image; the registry is told from the image's name when it is not said."""

    username: str
    password: SecretStr
    registry_url: str | None = None


class DeviceRequest(BaseModel, extra="forbid"):
    """Devices, such as GPUs, that a driver of the daemon gives."""

    driver: str = ""
    count: int = Field(0, description="How many; -1 for all.")
    device_ids: list[str] = Field(default_factory=list)
    capabilities: list[list[str]] = Field(default_factory=lambda: [["gpu"]])
    options: dict[str, str] = Field(default_factory=dict)


class Ulimit(BaseModel, extra="forbid"):
    """A limit of the container's processes."""

    name: str
    soft: int
    hard: int | None = None


class DockerConfiguration(Configuration):
    """Where and how a run's container is executed."""

    image: str = Field(min_length=1, description="The image, with its tag or digest.")
    name: str | None = Field(
        None, description="Shown as the label sluice.name; the container's name is made of its run."
    )
    env: dict[str, str | None] = Field(default_factory=dict, description="Variables; null takes one of the image away.")
    working_dir: str | None = Field(None, description="The folder inside; the image's if none.")
    user: str | None = Field(None, description="Name or number, with `:group` if wanted; the image's if none.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels of the container, beside those of Sluice.")
    networks: list[str] = Field(default_factory=list, description="Networks of the daemon that it is connected to.")
    network_mode: str | None = Field(
        None, description="bridge, host, none or container:NAME, where no network is named."
    )
    extra_hosts: dict[str, str] = Field(default_factory=dict, description="Names and addresses for /etc/hosts.")
    volumes: list[str] = Field(default_factory=list, description="`/host/path:/path[:ro]` or `volume:/path[:ro]`.")
    tmpfs: dict[str, str] = Field(default_factory=dict, description="Folders in memory, with mount options.")
    mem_limit: str | int | None = Field(None, description="Memory, such as 512m.")
    memswap_limit: str | int | None = Field(None, description="Memory and swap together; -1 for no limit of swap.")
    cpus: float | None = Field(None, gt=0, description="Processors, such as 1.5.")
    shm_size: str | int | None = Field(None, description="Size of /dev/shm, such as 64m.")
    ulimits: list[Ulimit] = Field(default_factory=list, description="Limits of its processes.")
    privileged: bool = Field(
        default=False, description="All rights on the host: leave it off the template to refuse it."
    )
    cap_add: list[str] = Field(default_factory=list, description="Capabilities that it has besides.")
    cap_drop: list[str] = Field(default_factory=list, description="Capabilities that it has not.")
    read_only: bool = Field(default=False, description="Whether its root file system cannot be written.")
    init: bool = Field(default=False, description="Whether a small init is its first process.")
    hostname: str | None = Field(None, description="Its own name; its id if none.")
    device_requests: list[DeviceRequest] = Field(default_factory=list, description="Devices, such as GPUs.")
    platform: str | None = Field(None, description="Such as linux/arm64; the daemon's own if none.")
    image_pull_policy: PullPolicy | None = Field(
        None, description="If none: always for the tag latest or no tag, else if_not_present."
    )
    registry_credentials: RegistryCredentials | None = Field(
        None, description="username, password, registry_url; as JSON text where all of it is one secret."
    )
    auto_remove: bool = Field(default=True, description="Whether the container is removed once its end is told.")
    stream_output: bool = Field(default=True, description="Whether what it writes goes into the run's log.")
    grace_seconds: float | None = Field(
        None, ge=0, le=86_400, description="From SIGTERM to SIGKILL; the worker's cancel grace if none."
    )

    @model_validator(mode="before")
    @classmethod
    def _with_kwargs(cls, given: Any) -> Any:
        """Arguments that Prefect's templates hand on to the Docker SDK are fields here."""
        if not isinstance(given, Mapping) or "container_create_kwargs" not in given:
            return given
        rest = dict(given)
        more = rest.pop("container_create_kwargs") or {}
        if not isinstance(more, Mapping):
            raise ValueError("container_create_kwargs: an object is wanted")  # noqa: TRY004 - pydantic tells of these
        if "nano_cpus" in more:
            more = {**more, "cpus": more["nano_cpus"] / _NANO}
        unknown = more.keys() - cls.model_fields.keys() - {"nano_cpus"}
        if unknown:
            names = ", ".join(sorted(unknown))
            raise ValueError(
                f"container_create_kwargs: {names}: no option of a docker worker, see docs/docker-worker.md"
            )
        return {**{name: value for name, value in more.items() if name != "nano_cpus"}, **rest}

    @field_validator("image_pull_policy", mode="before")
    @classmethod
    def _policy(cls, given: Any) -> Any:
        return _PREFECT_POLICIES.get(given, given) if isinstance(given, str) else given

    @field_validator("registry_credentials", mode="before")
    @classmethod
    def _credentials(cls, given: Any) -> Any:
        """One secret may hold all of it, as JSON."""
        if not isinstance(given, str):
            return given
        try:
            return json.loads(given)
        except ValueError:
            raise ValueError("no JSON object with username and password") from None

    @field_validator("mem_limit", "memswap_limit", "shm_size")
    @classmethod
    def _size(cls, given: str | int | None) -> str | int | None:
        if given is not None:
            size_of(given)
        return given

    @field_validator("volumes")
    @classmethod
    def _volumes(cls, given: list[str]) -> list[str]:
        for volume in given:
            parts = volume.split(":")
            if len(parts) not in (2, 3) or not parts[0] or not parts[1].startswith("/"):
                raise ValueError(f"{volume!r} is no volume: /host/path:/path[:ro] or name:/path[:ro]")
        return given

    @field_validator("labels")
    @classmethod
    def _labels(cls, given: dict[str, str]) -> dict[str, str]:
        if ours := [name for name in given if name.startswith(PREFIX)]:
            raise ValueError(
                f"{ours[0]!r}: labels that begin with {PREFIX!r} say whose a container is, take another name"
            )
        return given

    @field_validator("env")
    @classmethod
    def _env(cls, given: dict[str, str | None]) -> dict[str, str | None]:
        if bad := [name for name, value in given.items() if not name or "=" in name or "\0" in name + (value or "")]:
            raise ValueError(f"{bad[0]!r} is no variable of an environment")
        return given

    @model_validator(mode="after")
    def _one_way_to_the_network(self) -> "DockerConfiguration":
        if self.networks and self.network_mode:
            raise ValueError("networks and network_mode exclude each other: leave one out")
        return self

    @property
    def pull_policy(self) -> PullPolicy:
        """The policy, or what holds where none is set."""
        if self.image_pull_policy:
            return self.image_pull_policy
        last = self.image.rpartition("/")[2]
        if "@" in last:
            return "if_not_present"
        return "always" if last.rpartition(":")[2] == "latest" or ":" not in last else "if_not_present"
