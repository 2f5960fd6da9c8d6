"""Entrypoints, inspected by real child processes: what is told of them, and that nothing of them stays."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from dispatcher.entrypoints.inspection import Inspected, Question, folder_of, inspect_all, inspect_entrypoint
from tests.support.processes import state
from tests.support.waiting import wait_until
from workers import Functions

SLOW = 60.0


async def inspect(folder: Path, code: str, name: str = "f", **options: Any) -> Inspected:
    (folder / "flows.py").write_text(code)
    timeout = options.pop("timeout", SLOW)
    return await inspect_entrypoint(f"flows.py:{name}", folder, {**os.environ, **options}, timeout=timeout)


async def test_the_schema_is_that_of_a_registered_function(tmp_path: Path):
    found = await inspect(tmp_path, "def f(day: str, n: int = 1, *, tags: list[str] | None = None) -> None: ...\n")

    def f(day: str, n: int = 1, *, tags: list[str] | None = None) -> None: ...

    functions = Functions()
    functions.register(f)
    assert found == Inspected(functions.deployment("f").parameter_schema)
    assert found.schema
    assert found.schema["required"] == ["day"]


async def test_a_module_of_the_folder_and_an_installed_one_are_found(tmp_path: Path):
    (tmp_path / "etl").mkdir()
    (tmp_path / "etl" / "__init__.py").touch()
    (tmp_path / "etl" / "load.py").write_text("class Load:\n    def day(self, n: int): ...\nload = Load()\n")
    found = await inspect_entrypoint("etl.load:load.day", tmp_path, os.environ, timeout=SLOW)
    assert found.schema
    assert list(found.schema["properties"]) == ["n"]
    assert (await inspect_entrypoint("json:dumps", tmp_path, os.environ, timeout=SLOW)).schema


async def test_a_folder_with_names_of_ours_is_the_users(tmp_path: Path):
    (tmp_path / "dispatcher.py").write_text("HERE = 7\n")
    found = await inspect(tmp_path, "import dispatcher\ndef f(n: int = dispatcher.HERE): ...\n")
    assert found.schema
    assert found.schema["properties"]["n"]["default"] == 7


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import json\n\ndef g():\n    json.loads('{')\n\ng()\n", r"^flows.py cannot be imported: flows.py:4: JSONDec"),
        ("raise SystemExit(3)\n", r"flows.py:1: SystemExit: 3 \(code that is not for importing"),
        ("x = 1\ny = (\n", r"flows.py:2: SyntaxError: '\(' was never closed"),
        ("import nothing_of_this_name\n", r"flows.py:1: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("def g(): return g()\ng()\n", r"flows.py:1: RecursionError"),
        ("class E(Exception):\n    def __str__(self): return 1 / 0\nraise E\n", r"flows.py:3: E$"),
        ("raise ValueError('redis://u:canary@h/0 \\x1b[31m')\n", r"ValueError: redis://u:\*\*\*@h/0 \\x1b\[31m$"),
        ("import os\nos._exit(7)\n", r"ended itself with exit code 7 while it was imported"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", r"was ended by SIGSEGV while it was imported"),
        ("def load(): ...\ndef ff(): ...\n", r"flows.py has no function 'f'; near: ff$"),
        ("f = 3\n", r"has no function 'f': that is of type int$"),
        ("from __future__ import annotations\ndef f(n: Nothing): ...\n", r"of f cannot be read: NameError: name 'Noth"),
    ],
)
async def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, code: str, said: str):
    found = await inspect(tmp_path, code)
    assert found.schema is None
    assert not found.elsewhere
    assert re.search(said, found.fault), found.fault


async def test_the_place_is_in_the_users_module_that_raised(tmp_path: Path):
    (tmp_path / "tables.py").write_text("\n\nPRICE = int('dear')\n")
    assert "tables.py:3: ValueError" in (await inspect(tmp_path, "import tables\n")).fault


@pytest.mark.parametrize("entrypoint", ["gone.py:f", "no_such_module.part:f"])
async def test_code_that_is_not_here_is_told_apart(tmp_path: Path, entrypoint: str):
    found = await inspect_entrypoint(entrypoint, tmp_path, os.environ, timeout=SLOW)
    assert found.elsewhere
    assert "there is no" in found.fault


@pytest.mark.parametrize("entrypoint", ["flows.py", ":f", "flows.py:", "json.nothing:f"])
async def test_what_is_no_entrypoint_is_a_fault(tmp_path: Path, entrypoint: str):
    (tmp_path / "flows.py").touch()
    found = await inspect_entrypoint(entrypoint, tmp_path, os.environ, timeout=SLOW)
    assert found.fault
    assert not found.elsewhere


async def test_types_without_a_schema_are_no_fault(tmp_path: Path):
    assert await inspect(tmp_path, "import io\ndef f(file: io.StringIO): ...\n") == Inspected()


async def test_an_endless_import_is_a_fault(tmp_path: Path):
    found = await inspect(tmp_path, "while True: pass\n", timeout=0.5)
    assert found == Inspected(fault="flows.py:f: its import took longer than 0.5 s")


async def test_nothing_that_was_started_goes_on(tmp_path: Path):
    code = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "open('new', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "os.rename('new', 'pids')\n"
        "while True: pass\n"
    )
    async with anyio.create_task_group() as group:
        group.start_soon(inspect, tmp_path, code)
        await wait_until((tmp_path / "pids").exists, description="its import has begun", timeout=SLOW)
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        assert [state(pid) in "ZX" for pid in pids] == [False, False]
        group.cancel_scope.cancel()
    await wait_until(lambda: all(state(pid) in "ZX" for pid in pids), description="both are gone")


async def test_threads_and_processes_of_an_import_are_not_waited_for(tmp_path: Path):
    code = (
        "import signal, subprocess, sys, threading\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "open('pid', 'w').write(str(child.pid))\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "def f(n: int): ...\n"
    )
    assert (await inspect(tmp_path, code)).schema
    pid = int((tmp_path / "pid").read_text())
    await wait_until(lambda: state(pid) in "ZX", description="it is gone")


async def test_what_is_printed_goes_nowhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    code = "import os, sys\nfor fd in (1, 2):\n    os.write(fd, b'x' * 10_000_000)\nprint(input)\ndef f(): ...\n"
    assert (await inspect(tmp_path, code)).schema == {"additionalProperties": False, "properties": {}, "type": "object"}
    assert capfd.readouterr() == ("", "")


async def test_settings_and_credentials_are_not_in_its_environment(tmp_path: Path):
    code = "import os\ndef f(x: str = ' '.join(sorted(os.environ))): ...\n"
    given = {"SLUICE_REDIS_URL": "redis://canary", "REDIS_PASSWORD": "canary", "REDISCLI_AUTH": "canary", "OWN": "1"}
    found = await inspect(tmp_path, code, **given)
    assert found.schema
    names = found.schema["properties"]["x"]["default"].split()
    assert "OWN" in names
    assert not [name for name in names if name.startswith(("SLUICE_", "REDIS"))]


async def test_the_same_code_has_the_same_schema_and_leaves_no_file(tmp_path: Path):
    code = "def f(x: set[str] = {'a', 'b', 'c', 'd'}, y: float = float('nan')): ...\n"
    first, again = [await inspect(tmp_path, code, PYTHONHASHSEED=seed) for seed in ("1", "2")]
    assert first == again
    assert [path.name for path in tmp_path.iterdir()] == ["flows.py"]


async def test_each_entrypoint_is_imported_once(tmp_path: Path):
    (tmp_path / "flows.py").write_text("open('count', 'a').write('x')\ndef f(): ...\ndef g(): ...\n")
    asked = [Question(f"flows.py:{name}", tmp_path) for name in "ffgfg"]
    found = await inspect_all(asked, os.environ, timeout=SLOW)
    assert list(found) == [asked[0], asked[2]]
    assert (tmp_path / "count").read_text() == "xx"


def test_the_folder_is_the_first_that_has_the_code(tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    (two / "flows.py").touch()
    assert folder_of("flows.py:f", [tmp_path / "none", one, two]) == two
    assert folder_of("flows:f", [one, two]) == two
    assert folder_of("json:f", [one, two]) == two
    assert folder_of("gone.py:f", [one, two]) is None
    assert sys.modules.get("flows") is None
