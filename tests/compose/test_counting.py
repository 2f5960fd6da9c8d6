"""What the demonstration of the compose stack counts: it must see a loss, a double and a limit that was exceeded."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "scripts" / "composed"
GOOD = [
    "start a host1 1 10", "start b host1 2 11", "end a host1 1 20", "end b host1 2 21",
    "start slow host1 1 30", "start slow host2 1 60", "end slow host2 1 70", "start c host3 1 71", "end c host3 1 72",
]  # fmt: skip


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The program's own modules, which it finds beside itself."""
    monkeypatch.syspath_prepend(str(PROGRAM))
    names = ("notes", "project", "scenario", "report")
    found = {name: __import__(name) for name in names}
    yield found
    for name in names:
        sys.modules.pop(name)


def broken(modules: dict[str, ModuleType], lines: list[str], *, published: int = 4) -> set[str]:
    seen = modules["scenario"].Seen(
        published=published, killed="host1", killed_ns=40, held={"slow"}, waiting={"scaled": 3},
        scraped={"dispatcher": 1, "scheduler": 2, "worker": 1}, notes=modules["notes"].Notes(lines),
    )  # fmt: skip
    return {line.what for line in modules["report"].lines(seen, 4) if not line.holds}


def test_a_good_end_is_told_as_one(modules: dict[str, ModuleType]):
    assert broken(modules, GOOD) == set()
    table = modules["report"].table(modules["report"].lines(modules["scenario"].Seen(), 4))
    assert "BROKEN" in table


def test_a_run_that_was_lost_is_seen(modules: dict[str, ModuleType]):
    assert broken(modules, GOOD[:-1]) == {"runs that ended", "lost"}


def test_a_run_that_ended_twice_is_seen(modules: dict[str, ModuleType]):
    twice = [*GOOD, "start a host2 1 80", "end a host2 1 90"]
    assert broken(modules, twice) == {"ended twice", "others started twice"}


def test_a_run_of_nobody_is_seen(modules: dict[str, ModuleType]):
    assert broken(modules, [*GOOD, "start x host2 1 80", "end x host2 1 90"]) == {
        "runs that ended",
        "that nobody published",
    }


def test_a_run_of_the_killed_worker_that_did_not_go_on_is_seen(modules: dict[str, ModuleType]):
    assert "of them started elsewhere" in broken(modules, [line for line in GOOD if "slow host2" not in line])


@pytest.mark.parametrize(
    ("hosts", "tenants", "what"),
    [
        (13, 13, {"most at once, pool"}),
        (6, 1, {"most at once, one tenant"}),
        (1, 6, {"most at once, one worker"}),
    ],
)
def test_a_limit_that_was_exceeded_is_seen(modules: dict[str, ModuleType], hosts: int, tenants: int, what: set[str]):
    many = max(hosts, tenants)
    names = [f"r{number} h{number % hosts} t{number % tenants}" for number in range(many)]
    lines = [f"{kind} {name} 5" for kind in ("start", "end") for name in names]
    found = {name for name in broken(modules, [*lines, *GOOD], published=4 + many) if name.startswith("most")}
    assert found == what


def test_what_a_dead_worker_held_is_not_counted_with_what_its_container_runs_later(modules: dict[str, ModuleType]):
    dead = [f"start d{number} host1 1 {number + 1}" for number in range(5)]
    later = [f"start l{number} host1 2 {50 + number}" for number in range(5)]
    notes = modules["notes"].Notes([*dead, *later])
    assert (notes.most_at_once(), notes.most_in("host1", 40), notes.most_in("host1")) == (10, 5, 10)
