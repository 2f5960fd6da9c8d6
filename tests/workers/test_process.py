"""The process worker: commands, scripts and entrypoints, what they are given, and how their ends are told."""

import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dispatcher import Client, RunFailed, RunState
from tests.support.stack import PROGRAMS, Stack
from tests.support.waiting import wait_until
from workers import ProcessWorker, Worker

FLOWS = {"working_dir": str(PROGRAMS)}


@pytest.fixture
async def worker(stack: Stack) -> AsyncIterator[Worker]:
    await stack.client.pools.create("processes", type="process")
    return await stack.worker(ProcessWorker(), pool="processes", limit=8, cancel_grace=1.0)


@pytest.fixture
async def client(redis_url: str, worker: Worker) -> AsyncIterator[Client]:
    async with Client(redis_url, pool="processes") as client:
        yield client


async def failure(client: Client, **options: Any) -> RunFailed:
    run = await client.publish(None, options.pop("parameters", None), **options)
    with pytest.raises(RunFailed) as failed:
        await client.result(run, 20)
    return failed.value


async def flow(client: Client, name: str, **parameters: Any) -> Any:
    run = await client.publish(None, parameters, entrypoint=f"flows.py:{name}", job_variables=FLOWS, timeout=20)
    return await client.result(run, 30)


async def lines(client: Client, run: Any) -> list[tuple[str, str]]:
    return [(line.level, line.text) async for line in client.logs(run)]


async def test_a_command_completes_and_what_it_writes_is_its_log(client: Client):
    run = await client.publish(command=[sys.executable, "-c", "import sys; print('out'); sys.stderr.write('err')"])
    assert await client.result(run, 20) is None
    assert sorted(await lines(client, run)) == [("error", "err"), ("info", "out")]
    found = await client.get(run)
    assert found.infrastructure.count(":") == 2
    assert found.started_at >= found.admitted_at


async def test_a_script_runs_in_a_shell_that_stops_at_the_first_failure(client: Client):
    script = "echo one\nfalse\necho two"
    assert "exit code 1" in str(await failure(client, command=script, shell=True))
    assert "exit code 2" in str(await failure(client, command="echo $nothing_of_this_name", shell=True))
    run = await client.publish(command="a=1\nb=2\necho $((a + b))", shell=True)
    await client.result(run, 20)
    assert await lines(client, run) == [("info", "3")]


async def test_output_is_left_alone_when_nobody_wants_it(client: Client):
    run = await client.publish(command=["echo", "secret"], job_variables={"stream_output": False})
    await client.result(run, 20)
    assert await lines(client, run) == []


async def test_a_command_gets_its_variables_folder_and_parameters(client: Client, tmp_path: Path):
    code = "import json,os,sys; json.dump({**os.environ, 'cwd': os.getcwd()}, open('seen.json', 'w'))"
    run = await client.publish(
        None, {"day": "Monday", "n": 1}, command=[sys.executable, "-c", code], timeout=60,
        job_variables={"env": {"COLOUR": "red", "PATH": os.environ["PATH"]}, "working_dir": str(tmp_path)},
    )  # fmt: skip
    await client.result(run, 20)
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert (seen["COLOUR"], seen["cwd"]) == ("red", str(tmp_path))
    assert json.loads(seen["SLUICE_PARAMETERS"]) == {"day": "Monday", "n": 1}
    assert (seen["SLUICE_RUN_ID"], seen["SLUICE_POOL"], seen["SLUICE_ATTEMPT"]) == (run.id, "processes", "1")
    assert int(seen["SLUICE_CLAIM_TOKEN"]) == (await client.get(run)).claim_token
    assert int(seen["SLUICE_DEADLINE_MS"]) > int(seen["SLUICE_CLAIM_TOKEN"])


async def test_without_a_folder_a_run_gets_one_of_its_own_that_goes(client: Client, tmp_path: Path):
    note = tmp_path / "where"
    await client.result(
        await client.publish(command=f"pwd > {note}; mkdir -p deep/er; touch deep/er/file", shell=True), 20
    )
    folder = Path(note.read_text().strip())
    assert folder.name.startswith("sluice-run-")
    await wait_until(lambda: not folder.exists(), description="its folder is gone")


async def test_a_folder_is_used_again_only_when_nobody_touched_it(client: Client, tmp_path: Path):
    note = tmp_path / "where"

    async def folder(script: str) -> Path:
        note.unlink(missing_ok=True)
        await client.result(await client.publish(command=f"pwd > {note}; {script}", shell=True), 20)
        return Path(note.read_text().strip())

    first = await folder("true")
    assert await folder("true") == first
    for what in ("touch .hidden", "chmod 777 .", "mkdir -p a/b"):
        used = await folder(what)
        await wait_until(lambda used=used: not used.exists(), description=f"it is gone after {what}")


async def test_no_folder_is_left_when_the_worker_ends(
    client: Client, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kind = ProcessWorker()
    await stack.client.pools.create("others", type="process")
    worker = await stack.worker(kind, pool="others")
    await client.result(await client.publish(command=["true"], pool="others"), 20)
    assert len(list(tmp_path.iterdir())) == 1
    worker.drain()
    await wait_until(lambda: not list(tmp_path.iterdir()), description="its folder is gone")


@pytest.mark.parametrize(
    ("options", "reason", "match"),
    [
        ({"command": ["no-such-command"]}, "not_found", "command 'no-such-command' could not be used .* No such file"),
        ({"command": ["/etc/passwd"]}, "not_found", "Permission denied"),
        ({"command": ["no\nsuch"]}, "not_found", r"command 'no\\nsuch' could not be used .* No such file"),
        ({"command": ["true", "x" * 200_000]}, "not_found", "command 'true' could not be used .* too long"),
        ({"command": ["ls"], "job_variables": {"working_dir": "/no/such"}}, "not_found", "no working_dir '/no/such'"),
        ({"command": ["ls"], "job_variables": {"colour": "red"}}, "invalid_job_variables", "/colour: is no variable"),
        ({"command": ["ls"], "job_variables": {"env": {"A=B": "c"}}}, "invalid_parameters", "'A=B' is no variable"),
        ({"command": ["ls"], "parameters": {"a": "x" * 200_000}}, "invalid_parameters", "are too many"),
        ({"command": [sys.executable, "-c", "raise SystemExit(3)"]}, "exit_code", "exit code 3"),
        ({"command": "echo because >&2; exit 4", "shell": True}, "exit_code", "exit code 4\nbecause"),
        ({"command": "kill -SEGV $$", "shell": True}, "signal", "killed by SIGSEGV"),
        ({"command": "kill -9 $$", "shell": True}, "signal", "killed by SIGKILL"),
        ({"entrypoint": "nowhere.py:f"}, "not_found", "there is no file .*nowhere.py"),
        ({"entrypoint": "no_such_module:f"}, "not_found", "there is no module 'no_such_module'"),
        ({"entrypoint": "flows.py:no_such"}, "not_found", "flows.py has no function 'no_such'"),
        ({"entrypoint": "flows.py:PROGRAMS"}, "not_found", "has no function"),
        ({"entrypoint": "flows.py:add"}, "invalid_parameters", r"parameters do not fit .*a: Missing required"),
        ({"entrypoint": "flows.py:add", "parameters": {"a": "x"}}, "invalid_parameters", "a: Input should be a valid"),
        ({"entrypoint": "flows.py:raises"}, "raised", "ValueError: no such luck"),
        ({"entrypoint": "flows.py:exits", "parameters": {"code": 3}}, "exit_code", "exit code 3"),
        ({"entrypoint": "flows.py:exits", "parameters": {"code": "why"}}, "exit_code", "exit code 1\nwhy"),
        ({"entrypoint": "flows.py:leaves_at_once", "parameters": {"code": 5}}, "exit_code", "exit code 5"),
        ({"entrypoint": "flows.py:leaves_at_once", "parameters": {"code": 0}}, "exit_code", "without a word"),
        ({"entrypoint": "flows.py:crashes"}, "signal", "killed by SIGSEGV"),
        ({"entrypoint": "flows.py:kills_itself", "parameters": {"number": 15}}, "signal", "killed by SIGTERM"),
        ({"entrypoint": "flows.py:gives_what_cannot_be_kept"}, "bad_result", "type object cannot be serialised"),
        ({"entrypoint": "flows.py:gives_too_much"}, "bad_result", "bytes"),
        ({"entrypoint": "flows.py:refused"}, "raised", "unknown option 'colour'"),
    ],
)  # fmt: skip
async def test_what_goes_wrong_is_told(client: Client, options: dict[str, Any], reason: str, match: str):
    given = {**options}
    if "entrypoint" in given:
        given["job_variables"] = FLOWS
    error = await failure(client, **given)
    assert error.reason == reason
    with pytest.raises(RunFailed, match=match):
        raise error


async def test_a_function_is_nothing_for_a_process_worker(client: Client):
    run = await client.publish("add", {"a": 1})
    with pytest.raises(RunFailed, match="executes a command or an entrypoint; this run names the function 'add'"):
        await client.result(run, 20)


@pytest.mark.parametrize(
    ("code", "match"),
    [("raise OSError('at import')", "at import"), ("def f(:", "invalid syntax"), ("exit(1)", "SystemExit")],
)
async def test_code_that_cannot_be_imported_is_told_as_that(client: Client, tmp_path: Path, code: str, match: str):
    (tmp_path / "broken.py").write_text(code)
    error = await failure(client, entrypoint="broken.py:f", job_variables={"working_dir": str(tmp_path)})
    assert error.reason == "import_failed"
    assert match in error.error


@pytest.mark.parametrize("name", ["add", "add_later"])
async def test_an_entrypoint_gets_checked_parameters_and_gives_a_result(client: Client, name: str):
    assert await flow(client, name, a="20", b=22) == 42


async def test_an_entrypoint_may_be_in_a_package_or_a_folder_of_its_own(client: Client, tmp_path: Path):
    (tmp_path / "company").mkdir()
    (tmp_path / "company" / "__init__.py").write_text("")
    (tmp_path / "company" / "helper.py").write_text("class Sums:\n    @staticmethod\n    def add(a, b): return a + b\n")
    run = await client.publish(
        None, {"a": 1, "b": 2}, entrypoint="company.helper:Sums.add", job_variables={"working_dir": str(tmp_path)}
    )
    assert await client.result(run, 20) == 3
    run = await client.publish(None, {"a": 1, "b": 2}, entrypoint=f"{tmp_path}/company/helper.py:Sums.add")
    assert await client.result(run, 20) == 3


async def test_the_users_own_modules_may_have_our_names(client: Client, tmp_path: Path):
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "__init__.py").write_text("MINE = 'workers of mine'\n")
    (tmp_path / "scheduler.py").write_text("MINE = 'scheduler of mine'\n")
    (tmp_path / "main.py").write_text(
        "import scheduler, workers\nfrom dispatcher import context\n"
        "def f():\n    context.logger.info('still works')\n    return [workers.MINE, scheduler.MINE, context.attempt]\n"
    )
    run = await client.publish(entrypoint="main.py:f", job_variables={"working_dir": str(tmp_path)})
    assert await client.result(run, 20) == ["workers of mine", "scheduler of mine", 1]
    assert await lines(client, run) == [("info", "still works")]
    (tmp_path / "dispatcher.py").write_text("MINE = 'dispatcher of mine'\n")
    (tmp_path / "other.py").write_text("import dispatcher\ndef f():\n    return dispatcher.MINE\n")
    run = await client.publish(entrypoint="other.py:f", job_variables={"working_dir": str(tmp_path)})
    assert await client.result(run, 20) == "dispatcher of mine"


async def test_an_entrypoint_knows_its_run(client: Client):
    run = await client.publish(None, {}, entrypoint="flows.py:knows", job_variables=FLOWS, timeout=60)
    told = await client.result(run, 20)
    assert told["run_id"] == run.id
    assert told["token"] == (await client.get(run)).claim_token
    assert (told["pool"], told["attempt"], told["parameters"]) == ("processes", 1, {})
    assert told["deadline"] > "2026"


async def test_what_an_entrypoint_prints_and_logs_is_in_one_log(client: Client):
    run = await client.publish(entrypoint="flows.py:says", job_variables=FLOWS)
    await client.result(run, 20)
    assert sorted(await lines(client, run)) == [
        ("error", "complained"), ("info", "printed"), ("warning", "logged count=2"),
    ]  # fmt: skip


async def test_an_entrypoint_tells_its_progress(client: Client, tmp_path: Path):
    gate = tmp_path / "gate"
    run = await client.publish(None, {"gate": str(gate)}, entrypoint="flows.py:tells_progress", job_variables=FLOWS)

    async def told() -> bool:
        return (await client.get(run)).progress == "25% a quarter"

    await wait_until(told, description="its progress is known")
    gate.touch()
    await client.result(run, 20)


@pytest.mark.parametrize("name", ["parent", "blocking_parent"])
async def test_a_process_and_its_children_share_a_limit_of_one(client: Client, name: str):
    await client.pools.update("processes", limit=1)
    assert await flow(client, name, numbers=[1, 2, 3]) == 9


async def test_a_failed_process_is_tried_again(client: Client, stack: Stack, tmp_path: Path):
    await stack.scheduler()
    script = f"test -e {tmp_path}/there || {{ touch {tmp_path}/there; exit 3; }}"
    run = await client.publish(command=script, shell=True, retries=1)
    await client.result(run, 20)
    assert (await client.get(run)).attempt == 2


@pytest.mark.parametrize("name", ["cleans_up", "cleans_up_later"])
async def test_a_cancelled_entrypoint_may_clean_up(client: Client, tmp_path: Path, name: str):
    note = tmp_path / "note"
    run = await client.publish(None, {"note": str(note)}, entrypoint=f"flows.py:{name}", job_variables=FLOWS)
    await wait_until(note.exists, description="it runs")
    await client.cancel(run)
    with pytest.raises(RunFailed, match="cancelled"):
        await client.result(run, 20)
    assert note.read_text() == "cleaned up, cancelled: True"


async def test_an_entrypoint_past_its_timeout_is_ended(client: Client, tmp_path: Path):
    note = tmp_path / "note"
    run = await client.publish(
        None, {"note": str(note)}, entrypoint="flows.py:cleans_up", job_variables=FLOWS, timeout=0.5
    )
    with pytest.raises(RunFailed, match="ran longer than its 0.5 s"):
        await client.result(run, 20)
    assert (await client.get(run)).reason == "timed_out"
    assert note.read_text() == "cleaned up, cancelled: True"


async def test_threads_and_exit_functions_of_an_entrypoint_run_to_their_end(client: Client, tmp_path: Path):
    note = tmp_path / "note"
    run = await client.publish(None, {"note": str(note)}, entrypoint="flows.py:at_its_end", job_variables=FLOWS)
    await client.result(run, 20)
    assert note.read_text() == "thread atexit"
    assert await lines(client, run) == [("info", "not a whole line")]


async def test_rubbish_on_its_line_ends_the_run_and_nothing_else(client: Client):
    error = await failure(client, entrypoint="flows.py:writes_rubbish_on_its_line", job_variables=FLOWS, timeout=2)
    assert error.reason in {"bad_result", "timed_out"}
    assert await flow(client, "add", a=1) == 2


async def test_a_process_gets_no_way_to_the_server(client: Client, redis_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLUICE_REDIS_URL", "redis://user:canary@somewhere/0")
    known = await flow(client, "environment")
    assert "SLUICE_REDIS_URL" not in known
    assert "canary" not in json.dumps(known)
    opened = await flow(client, "open_descriptors")
    assert len([path for path in opened if path.startswith("socket:")]) == 1  # its line
    assert all("redis" not in path and "valkey" not in path for path in opened)


async def test_draining_lets_processes_end_and_stopping_hands_them_back(
    client: Client, worker: Worker, stack: Stack, tmp_path: Path
):
    script = f"touch {tmp_path}/began; while [ ! -e {tmp_path}/gate ]; do sleep 0.05; done"
    run = await client.publish(command=script, shell=True)
    await wait_until((tmp_path / "began").exists, description="it runs")
    worker.hand_back()

    async def handed_back() -> bool:
        return (await client.get(run)).state == RunState.QUEUED

    await wait_until(handed_back, description="it is handed back")
    (tmp_path / "gate").touch()
    await stack.worker(ProcessWorker(), pool="processes")
    await client.result(run, 20)
    assert (await client.get(run)).attempt == 1
