"""The docker worker: a run is a container of its own."""

from .configuration import DockerConfiguration
from .worker import DockerWorker

__all__ = ["DockerConfiguration", "DockerWorker"]
