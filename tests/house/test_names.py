"""Names and docstrings of what is public: one word for one thing, a sentence for each name."""

import importlib
import importlib.util
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

PACKAGES = ("dispatcher", "workers", "scheduler")
# What we say instead: publish, admit, turn, finish, run, worker, slot, settings, ...
FORBIDDEN = re.compile(
    r"(^|_)(enqueue|dequeue|ack|nack|dispatch|fetch|pop|job|jobs|task|message|messages|agent|consumer|executor|runner"
    r"|utils?|helpers?|common|manager)(?=_|$)"
)
ALLOWED = {
    "job_variables": "the user's word for what a deployment sets",
    "job_template": "the user's word, base job template",
    "task_status": "anyio's name for the argument",
    "task": "asyncio's task, which executes a run",
}


def modules() -> Iterator[ModuleType]:
    """Every module of ours that is imported as one; `child.py` is started by path."""
    for package in PACKAGES:
        top = importlib.import_module(package)
        yield top
        for found in pkgutil.walk_packages(top.__path__, f"{package}."):
            yield importlib.import_module(found.name)


MODULES = list(modules())


def own(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Public classes and functions that are written in this module."""
    for name, value in vars(module).items():
        is_ours = getattr(value, "__module__", None) == module.__name__
        if not name.startswith("_") and is_ours and (inspect.isclass(value) or inspect.isfunction(value)):
            yield name, value


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that are written in this class."""
    for name, value in vars(kind).items():
        found = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if not name.startswith("_") and (inspect.isfunction(found) or isinstance(found, property)):
            yield name, found


def undocumented(module: ModuleType) -> list[str]:
    missing = [] if module.__doc__ else [module.__name__]
    for name, value in own(module):
        if not value.__doc__ and module.__name__ != "dispatcher.keys":  # each key has its type beside it
            missing.append(f"{module.__name__}.{name}")
        if inspect.isclass(value):
            missing += [f"{module.__name__}.{name}.{member}" for member, found in members(value) if not found.__doc__]
    return missing


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_what_is_public_says_what_it_is(module: ModuleType):
    assert undocumented(module) == []


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_docstrings_are_sentences(module: ModuleType):
    said = [(name, value.__doc__) for name, value in own(module) if value.__doc__]
    said += [
        (f"{name}.{member}", found.__doc__)
        for name, kind in own(module)
        if inspect.isclass(kind)
        for member, found in members(kind)
        if found.__doc__
    ]
    unfinished = [name for name, text in said if not re.search(r"[.:)`]$", text.strip().split("\n\n")[0])]
    assert unfinished == []


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_one_word_for_one_thing(module: ModuleType):
    names = {module.__name__.rpartition(".")[2]}
    for name, value in own(module):
        names.add(name)
        if inspect.isclass(value):
            names |= {member for member, _ in members(value)}
            names |= set(getattr(value, "__annotations__", {}))
        elif inspect.isfunction(value):
            names |= set(inspect.signature(value).parameters)
    assert {name for name in names if FORBIDDEN.search(snake(name)) and name not in ALLOWED} == set()


@pytest.mark.parametrize(
    "name", ["dispatcher", "workers", "dispatcher.client", "dispatcher.store", "dispatcher.embedded"]
)
def test_what_a_package_exports_is_sorted_and_there(name: str):
    package = importlib.import_module(name)
    exported = list(package.__all__)
    assert exported == sorted(exported, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert len(exported) == len(set(exported))
    assert [wanted for wanted in exported if not hasattr(package, wanted)] == []


def test_what_a_user_meets_is_exported():
    """Types and errors that a method of a client takes, returns or names can be imported from `dispatcher`."""
    package = importlib.import_module("dispatcher")
    said = " ".join(
        f"{inspect.signature(method)} {method.__doc__}"
        for kind in (package.Client, package.BlockingClient)
        for _, method in members(kind)
        if inspect.isfunction(method)
    )
    known = {
        name for module in ("errors", "models") for name, _ in own(importlib.import_module(f"dispatcher.{module}"))
    }
    assert {name for name in known if re.search(rf"\b{name}\b", said)} - set(package.__all__) == set()
