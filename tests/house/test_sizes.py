"""Files and functions stay small: split by noun, never raise a limit."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("dispatcher", "workers", "scheduler")
FILE, FUNCTION, METHODS, INIT, SHELL, PAGE = 400, 40, 12, 60, 20, 200
PYTHON = sorted(
    path for folder in (*PACKAGES, "scripts", "tests", "examples") for path in (ROOT / folder).rglob("*.py")
)
NAMES = [path.relative_to(ROOT).as_posix() for path in PYTHON]

Function = ast.FunctionDef | ast.AsyncFunctionDef


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length(function: Function, *, is_command: bool) -> int:
    """Its lines; a command's without its signature, which is its page of help, an option a line."""
    first = function.body[0].lineno if is_command else function.lineno
    return (function.end_lineno or 0) - first + 1


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_small(name: str):
    most = INIT if name.endswith("__init__.py") else FILE
    assert lines_of(ROOT / name) <= most


@pytest.mark.parametrize("name", NAMES)
def test_a_function_is_small(name: str):
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    is_command = "/cli" in name
    sizes = {f"{found.name}, line {found.lineno}": length(found, is_command=is_command) for found in functions(tree)}
    assert {what: lines for what, lines in sizes.items() if lines > FUNCTION} == {}


@pytest.mark.parametrize("name", [name for name in NAMES if name.split("/")[0] in PACKAGES])
def test_a_class_does_one_thing(name: str):
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    public = {
        found.name: sum(isinstance(node, Function) and not node.name.startswith("_") for node in found.body)
        for found in ast.walk(tree)
        if isinstance(found, ast.ClassDef)
    }
    assert {what: methods for what, methods in public.items() if methods > METHODS} == {}


def test_commands_are_short():
    shell = [path for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"] if path.is_file()]
    scripts = [path for path in shell if path.read_bytes().startswith((b"#!/bin/sh", b"# Sourced"))]
    assert scripts
    assert {path.name: lines_of(path) for path in scripts if lines_of(path) > SHELL} == {}


def test_pages_for_people_are_short():
    pages = [ROOT / "README.md", ROOT / "workers" / "README.md", ROOT / "scheduler" / "README.md"]
    assert {page: lines_of(page) for page in pages if lines_of(page) > PAGE} == {}
