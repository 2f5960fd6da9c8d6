"""The relay in a container, as a process of this machine: what it passes on, what it repeats, how it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.stack import PROGRAMS
from workers.docker import marks

FACTS = {
    "entrypoint": "", "folder": "", "run_id": "0190a0b0c0d07000800000000000000a", "pool": "p", "token": 7, "attempt": 1,
    "parameters": {}, "deadline_ms": None, "retry": None, "traceparent": None,
}  # fmt: skip


class Container:
    """The relay's process, and what a worker does at its two ends."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", "-m", "workers.docker.inside"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=PROGRAMS
        )

    def tell(self, *words: Any) -> None:
        self.process.stdin.write(marks.frame(list(words)))
        self.process.stdin.flush()

    def write(self, data: bytes) -> None:
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def begin(self, entrypoint: str, **parameters: Any) -> None:
        self.tell("run", {**FACTS, "entrypoint": f"relayed.py:{entrypoint}", "parameters": parameters})

    def line(self) -> bytes:
        return self.process.stdout.readline().removesuffix(b"\n")

    def words(self) -> list[Any]:
        line = self.line()
        found = marks.words_of(line)
        assert found is not None, line
        return found

    def end(self) -> tuple[int, list[bytes]]:
        """Its exit code, and the lines that were not read yet."""
        rest = self.process.stdout.read().splitlines()
        return self.process.wait(30), rest


@pytest.fixture
def container() -> Iterator[Container]:
    started = Container()
    yield started
    started.process.kill()
    started.process.wait()
    for stream in (started.process.stdin, started.process.stdout, started.process.stderr):
        stream.close()


def test_it_calls_the_code_and_tells_its_result(container: Container):
    container.begin("add", a=2, b=3)
    code, lines = container.end()
    assert code == 0
    assert [marks.words_of(line) for line in lines] == [["end", "completed", "", b"\x05"]]


def test_parameters_may_be_as_large_as_a_payload(container: Container):
    container.begin("length", text="x" * 900_000)
    code, lines = container.end()
    assert (code, [marks.words_of(line) for line in lines]) == (0, [["end", "completed", "", b"\xce\x00\x0d\xbb\xa0"]])


def test_what_the_code_writes_passes_and_cannot_speak_for_the_relay(container: Container):
    forged = marks.frame(["end", "completed", "", b"\x01"]).decode()
    container.begin("writes", text=f"one\n{forged}\x1e=two\nthree without an end")
    code, lines = container.end()
    words = [marks.words_of(line) for line in lines]
    assert (code, words) == (0, [None, None, None, None, ["end", "completed", "", b"\xc0"]])
    assert [marks.unescaped(line).decode() for line in lines[:4]] == [
        "one", forged.rstrip("\n"), "\x1e=two", "three without an end",
    ]  # fmt: skip


def test_an_ask_that_nobody_answered_is_repeated_for_the_next_worker_with_the_same_child(container: Container):
    container.begin("asks", numbers=[1, 2])
    first = container.words()
    assert first[:3] == ["ask", 1, "publish"]
    assert len(first[4][0][2]["run_id"]) == 32
    container.begin("asks", numbers=[1, 2])
    assert container.words() == first
    container.tell("answer", 1, [[first[4][0][2]["run_id"], True]])
    second = container.words()
    assert second[:3] == ["ask", 2, "publish"]
    container.tell("answer", 1, [["another", True]])
    container.begin("asks", numbers=[1, 2])
    assert container.words() == second, "what was answered is not asked again"
    container.tell("refused", 2, "ClaimLost", "no more")
    code, lines = container.end()
    assert code == 0
    assert marks.words_of(lines[-1])[:3] == ["end", "failed", "raised"]


def test_a_frame_that_was_cut_is_passed_over(container: Container):
    whole = marks.frame(["run", {**FACTS, "entrypoint": "relayed.py:add", "parameters": {"a": 1}}])
    container.write(whole[: len(whole) // 2])
    container.write(b"\n" + whole)
    code, lines = container.end()
    assert (code, marks.words_of(lines[-1])) == (0, ["end", "completed", "", b"\x02"])


def test_sigterm_goes_to_the_code(container: Container):
    container.begin("waits_for_cancel")
    assert container.words()[:2] == ["tell", "log"]
    container.tell("cancel")
    container.process.send_signal(signal.SIGTERM)
    code, lines = container.end()
    assert code == 143
    assert [marks.words_of(line)[3] for line in lines if marks.words_of(line)] == ["cleaned up"]


@pytest.mark.parametrize(("entrypoint", "code"), [("leaves_at_once", 5), ("is_killed", 137)])
def test_it_ends_as_the_code_ended(container: Container, entrypoint: str, code: int):
    container.begin(entrypoint, **({"code": 5} if code == 5 else {}))
    assert container.end() == (code, [])


def test_code_that_writes_to_its_line_is_told_so(container: Container):
    container.begin("says_nonsense")
    assert container.words()[:3] == ["end", "failed", "bad_result"]
    container.process.send_signal(signal.SIGTERM)
    assert container.end()[0] == 143


def test_what_the_code_left_behind_does_not_keep_it(container: Container):
    container.begin("leaves_a_child")
    code, lines = container.end()
    assert code == 0
    assert marks.words_of(lines[-1])[0] == "end"
    pid = int(lines[0])
    os.kill(pid, signal.SIGKILL)
