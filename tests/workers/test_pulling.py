"""Pull steps: a run's code is cloned before it starts, from real repositories; no token shows."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dispatcher import Client, Published, RetryPolicy, RunFailed, RunState, codec
from dispatcher.client.drafting import draft
from dispatcher.clock import SystemClock
from dispatcher.store import Store
from tests.support.git import Repository, git, served
from tests.support.stack import Stack
from tests.support.tools import wanted
from tests.support.waiting import wait_until
from workers import ProcessWorker, Worker

CODE = "def where():\n    import pathlib\n    return pathlib.Path(__file__).parent.name, '{}'\n"
CANARY = "canary-4f1c/secret+token"


class Runs:
    """Publishes runs with pull steps to a worker."""

    def __init__(self, client: Client, url: str, kind: ProcessWorker, worker: Worker) -> None:
        self.client, self.url, self.kind, self.worker = client, url, kind, worker

    async def publish(self, *pull: dict[str, Any], **options: Any) -> Published:
        options = {"command": ["true"], **options} if "entrypoint" not in options else options
        wire = draft(None, {}, options, SystemClock(), codec.PAYLOAD_LIMIT, pull=pull)  # type: ignore[arg-type]
        async with Store(self.url) as store:
            await store.runs.publish("processes", [wire])
        return Published(wire.id, "processes", is_new=True)

    async def result(self, *pull: dict[str, Any], **options: Any) -> Any:
        return await self.client.result(await self.publish(*pull, **options), 60)

    async def said(self, *pull: dict[str, Any], **options: Any) -> list[str]:
        run = await self.publish(*pull, **options)
        await self.client.result(run, 60)
        return [line for line in await self.log(run) if not line.startswith("cloned ")]

    async def log(self, run: Published) -> list[str]:
        return [line.text async for line in self.client.logs(run)]

    async def failure(self, *pull: dict[str, Any], **options: Any) -> RunFailed:
        with pytest.raises(RunFailed) as failed:
            await self.result(*pull, **options)
        return failed.value


@pytest.fixture
async def runs(stack: Stack, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runs]:
    monkeypatch.setenv("GIT_TOKEN", CANARY)
    await stack.client.pools.create("processes", type="process")
    template = {**await stack.client.pools.template("processes"), "secrets": {"allow": ["env:GIT_TOKEN", "file:/*"]}}
    await stack.client.pools.set_template("processes", template)
    kind = ProcessWorker()
    worker = await stack.worker(kind, pool="processes", limit=8, cancel_grace=1.0)
    async with Client(redis_url, pool="processes") as client:
        yield Runs(client, redis_url, kind, worker)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    wanted("git")
    repository = Repository(tmp_path / "with blank" / "flows")
    repository.commit({"flow.py": CODE.format("main"), "sub/inner.txt": "inner", "other/big.txt": "big"})
    return repository


def clone(repository: Repository | str, **more: Any) -> dict[str, Any]:
    return {"git_clone": {"repository": getattr(repository, "url", repository), **more}}


def go_to(directory: str) -> dict[str, Any]:
    return {"set_working_directory": {"directory": directory}}


async def test_an_entrypoint_runs_from_a_clone_which_is_gone_afterwards(runs: Runs, repository: Repository):
    assert await runs.result(clone(repository), entrypoint="flow.py:where") == ["flows", "main"]
    (place,) = await runs.said(clone(repository), command=["pwd"])
    assert Path(place).name == "flows"
    await wait_until(lambda: not Path(place).parent.exists(), description="the clone is gone")


async def test_a_path_is_a_repository_and_prefect_s_names_are_understood(runs: Runs, repository: Repository):
    step = {"prefect.deployments.steps.git_clone": {"repository": str(repository.path), "id": "code"}}
    there = {"prefect.deployments.steps.set_working_directory": {"directory": "{{ code.directory }}/sub"}}
    assert await runs.said(step, there, command="cat inner.txt", shell=True) == ["inner"]


async def test_a_branch_a_tag_or_a_commit_is_chosen(runs: Runs, repository: Repository):
    older = git(repository.path, "rev-parse", "HEAD")
    git(repository.path, "tag", "v1")
    repository.commit({"flow.py": CODE.format("later")})
    repository.commit({"flow.py": CODE.format("branch")}, branch="feature/x")
    git(repository.path, "checkout", "-q", "main")
    for more, expected in (
        ({}, "later"),
        ({"branch": "feature/x"}, "branch"),
        ({"branch": "v1"}, "main"),
        ({"commit_sha": older}, "main"),
        ({"commit_sha": older, "branch": "feature/x"}, "main"),
    ):
        assert (await runs.result(clone(repository, **more), entrypoint="flow.py:where"))[1] == expected, more


async def test_the_log_says_which_commit_was_cloned(runs: Runs, repository: Repository):
    run = await runs.publish(clone(repository))
    await runs.client.result(run, 60)
    assert await runs.log(run) == [f"cloned {git(repository.path, 'rev-parse', 'HEAD')} A commit."]
    run = await runs.publish(clone(repository), job_variables={"stream_output": False})
    await runs.client.result(run, 60)
    assert await runs.log(run) == []


async def test_only_some_directories_are_checked_out_when_these_are_named(runs: Runs, repository: Repository):
    said = await runs.said(clone(repository, directories=["sub"]), command="ls -d */", shell=True)
    assert said == ["sub/"]


async def test_submodules_come_along_when_they_are_wanted(runs: Runs, repository: Repository, tmp_path: Path):
    inner = Repository(tmp_path / "inner")
    inner.commit({"deep.txt": "deep"})
    git(repository.path, "submodule", "--quiet", "add", inner.url, "parts")
    git(repository.path, "commit", "-q", "-m", "A part.")
    step = clone(repository, include_submodules=True)
    assert (await runs.said(step, command="cat parts/deep.txt", shell=True))[-1] == "deep"
    assert await runs.said(clone(repository), command="ls parts", shell=True) == []


async def test_steps_go_on_where_the_one_before_left(runs: Runs, repository: Repository, tmp_path: Path):
    (tmp_path / "one" / "two").mkdir(parents=True)
    steps = (go_to(str(tmp_path)), go_to("one"), go_to("two"))
    assert await runs.said(*steps, command=["pwd"]) == [str(tmp_path / "one" / "two")]
    variables = {"working_dir": str(tmp_path)}
    assert await runs.said(go_to("one"), command=["pwd"], job_variables=variables) == [str(tmp_path / "one")]
    said = await runs.said(clone(repository), clone(repository), go_to("sub"), command=["pwd"])
    assert said[0].endswith("/flows-1/sub"), "a second clone of the same name has a folder of its own"
    assert await runs.said(clone(repository), command="ls", shell=True, job_variables=variables) == [
        "flow.py", "other", "sub",
    ]  # fmt: skip
    assert not (tmp_path / "flows").exists(), "nothing is cloned into a folder that stays"


async def test_many_runs_clone_the_same_repository_at_once(runs: Runs, repository: Repository):
    published = [await runs.publish(clone(repository), entrypoint="flow.py:where") for _ in range(12)]
    assert [await runs.client.result(run, 60) for run in published] == [["flows", "main"]] * 12


@pytest.mark.parametrize(
    ("step", "match"),
    [
        (clone("/no/such/repository"), "git clone ended with exit code 128\n.*not appear to be a git repository"),
        (clone("ext::sh -c touch% pwned"), "is no repository"),
        (clone("ftp://host/name.git"), "'ftp' is no protocol"),
        (clone("--upload-pack=touch"), "begins with `-`"),
        (clone("https://me:hunter2@host/name.git"), "holds a name or a password"),
        (clone("https://hunter2@host/name.git"), "holds a name or a password"),
        (clone("/x", branch="--upload-pack=x"), "/pull/0/branch: .*begins with `-`"),
        (clone("/x", commit_sha="abc"), "/pull/0/commit_sha: 'abc' is no whole commit id"),
        (clone("/x", directories=["../y"]), "/pull/0/directories: .*no folder of the repository"),
        (clone("/x", colour="red"), "/pull/0/colour: is not known here"),
        (clone("https://host/x", access_token="hunter2"), "/pull/0/access_token: "),
        (clone("git://host/x", access_token={"secretRef": "env:A"}), "is sent to https repositories only"),
        (clone("https://host/x", access_token={"secretRef": "env:SLUICE_REDIS_URL"}), "is not allowed by the pool"),
        (clone("https://host/x", access_token={"secretRef": "file:/no/such"}), "'file:/no/such' is not on this"),
        (go_to("/no/such"), "there is no directory '/no/such'"),
        (go_to("{{ code.directory }}"), "no step with the id 'code' before it"),
        ({"pip_install_requirements": {}}, "'pip_install_requirements' is no step that a worker executes"),
        ({"git_clone": {}, "set_working_directory": {}}, "exactly one key"),
    ],
)
async def test_a_step_that_cannot_be_done_says_why(runs: Runs, step: dict[str, Any], match: str):
    failed = await runs.failure(step)
    assert (failed.state, failed.reason) == (RunState.FAILED, "pull_failed")
    with pytest.raises(RunFailed, match=f"(?s){match}"):
        raise failed
    assert "hunter2" not in str(failed)


async def test_a_branch_or_a_commit_that_is_missing_is_told_in_git_s_words(runs: Runs, repository: Repository):
    assert "Remote branch no/such not found" in str(await runs.failure(clone(repository, branch="no/such")))
    assert "git fetch ended with exit code" in str(await runs.failure(clone(repository, commit_sha="0" * 40)))


async def test_a_failed_clone_is_tried_again_by_the_run_s_policy(
    runs: Runs, repository: Repository, stack: Stack, tmp_path: Path
):
    await stack.scheduler()
    away = tmp_path / "away"
    repository.path.rename(away)
    run = await runs.publish(clone(repository), entrypoint="flow.py:where", retry=RetryPolicy(40, 0.1, 1.0))

    async def was_tried() -> bool:
        return (await runs.client.get(run)).attempt >= 1 and bool(await runs.log(run))

    await wait_until(was_tried, description="git has failed once", timeout=30)
    away.rename(repository.path)
    assert await runs.client.result(run, 60) == ["flows", "main"]


async def test_without_git_a_run_says_so(runs: Runs, repository: Repository, tmp_path: Path):
    runs.kind._puller._environment = {"PATH": str(tmp_path)}
    assert "there is no `git` on this worker: install it" in str(await runs.failure(clone(repository)))


async def test_a_token_opens_a_repository_and_shows_nowhere(
    runs: Runs, repository: Repository, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    (tmp_path / "token").write_text(f"someone:{CANARY}\n")
    for name, reference in (("oauth2", "env:GIT_TOKEN"), ("someone", f"file:{tmp_path}/token")):
        with served(repository.path.parent, name, CANARY) as server:
            step = clone(f"{server.url}/flows/.git", access_token={"secretRef": reference})
            script = "cat .git/config; env | grep -c SLUICE_GIT_ || true"
            run = await runs.publish(step, command=script, shell=True)
            await runs.client.result(run, 60)
            assert server.expected in server.authorizations
            record = await runs.client.get(run)
            log = await runs.log(run)
            assert log[-1] == "0", "the run's own processes know nothing of it"
            assert CANARY not in str(record) + str(log) + "".join(capfd.readouterr())


async def test_a_token_that_is_refused_shows_nowhere_and_nobody_is_asked_for_another(
    runs: Runs, repository: Repository, capfd: pytest.CaptureFixture[str]
):
    with served(repository.path.parent, "oauth2", "another") as server:
        step = clone(f"{server.url}/flows/.git", access_token={"secretRef": "env:GIT_TOKEN"})
        run = await runs.publish(step)
        with pytest.raises(RunFailed, match="git clone ended with exit code 128") as failed:
            await runs.client.result(run, 60)
        assert "Authentication failed" in str(failed.value)
        refused = await runs.failure(clone(f"{server.url}/flows/.git"))
        assert "could not read Username" in str(refused)
    said = str(failed.value) + str(await runs.client.get(run)) + str(await runs.log(run))
    assert CANARY not in said + "".join(capfd.readouterr())


async def test_a_token_in_git_s_own_words_is_hidden(runs: Runs, repository: Repository):
    with served(repository.path.parent, "oauth2", CANARY) as server:
        step = clone(f"{server.url}/flows/.git", branch=CANARY, access_token={"secretRef": "env:GIT_TOKEN"})
        run = await runs.publish(step)
        with pytest.raises(RunFailed, match=r"Remote branch \*\*\* not found") as failed:
            await runs.client.result(run, 60)
        assert CANARY not in str(failed.value) + str(await runs.log(run))


async def test_a_token_is_given_to_the_host_of_its_repository_only(runs: Runs, repository: Repository):
    with served(repository.path.parent, "oauth2", CANARY) as good, served(repository.path, "a", "b") as other:
        git(repository.path, "config", "-f", ".gitmodules", "submodule.parts.url", f"{other.url}/inner")
        git(repository.path, "config", "-f", ".gitmodules", "submodule.parts.path", "parts")
        head = git(repository.path, "rev-parse", "HEAD")
        git(repository.path, "update-index", "--add", "--cacheinfo", f"160000,{head},parts")
        git(repository.path, "add", ".gitmodules")
        git(repository.path, "commit", "-q", "-m", "A part elsewhere.")
        token = {"secretRef": "env:GIT_TOKEN"}
        failed = await runs.failure(clone(f"{good.url}/flows/.git", include_submodules=True, access_token=token))
        assert "git submodule ended with" in str(failed)
        assert good.expected in good.authorizations
        assert other.requests
        assert set(other.authorizations) == {None}


async def test_a_cancelled_run_s_clone_is_killed_with_all_it_started(runs: Runs, repository: Repository):
    with served(repository.path.parent, "a", "b") as server:
        server.hold = True
        token = {"secretRef": "env:GIT_TOKEN"}
        run = await runs.publish(clone(f"{server.url}/flows/.git", access_token=token))
        await wait_until(lambda: server.requests, description="git is cloning")
        assert CANARY not in processes(), "whoever can list processes would see it"
        assert (await runs.client.get(run)).state is RunState.PENDING
        assert server.url in processes()
        await runs.client.cancel(run)

        async def is_cancelled() -> bool:
            return (await runs.client.get(run)).state is RunState.CANCELLED

        await wait_until(is_cancelled, description="it is cancelled", timeout=30)
        assert server.url not in processes()
    assert await runs.result() is None, "the worker goes on"


async def test_a_run_that_is_cloned_when_its_worker_stops_goes_on_elsewhere(
    runs: Runs, stack: Stack, repository: Repository
):
    with served(repository.path.parent, "oauth2", CANARY) as server:
        server.hold = True
        step = clone(f"{server.url}/flows/.git", access_token={"secretRef": "env:GIT_TOKEN"})
        run = await runs.publish(step, entrypoint="flow.py:where")
        await wait_until(lambda: server.requests, description="git is cloning")
        runs.worker.stop()

        async def is_back() -> bool:
            return (await runs.client.get(run)).state is RunState.QUEUED

        await wait_until(is_back, description="it went back", timeout=30)
        assert server.url not in processes()
        server.hold = False
        await stack.worker(ProcessWorker(), pool="processes")
        assert (await runs.client.result(run, 60))[1] == "main"
        found = await runs.client.get(run)
        assert (found.attempt, found.crashes) == (1, 0)


async def test_a_clone_that_takes_too_long_is_ended(runs: Runs, repository: Repository):
    runs.kind._puller.seconds = 1.0
    with served(repository.path.parent, "a", "b") as server:
        server.hold = True
        assert "cloning took longer than its 1 s" in str(await runs.failure(clone(f"{server.url}/flows/.git")))
        assert server.url not in processes()


def processes() -> str:
    """The words of every process that lives."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(place.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return "\n".join(found)
