"""Typed workers execute runs: `functions = Functions()`, `@functions.register`, `sluice worker start --app m:f`."""

from .contract import Configuration, Outcome, WorkerType
from .function import FunctionWorker
from .functions import Functions
from .worker import Worker, WorkerOptions

__all__ = ["Configuration", "FunctionWorker", "Functions", "Outcome", "Worker", "WorkerOptions", "WorkerType"]
