"""The judge finds each fault that is put before it, and none where all is well."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def soaking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The modules of the soak, found as its own programs find them."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    yield importlib.import_module
    for name in [name for name in sys.modules if name.startswith("soaking")]:
        del sys.modules[name]


class Case:
    """One run, `r`, of a queue with limit 2: asked for, executed, told, recorded; and what the judge says of it."""

    def __init__(self, load: Any, folder: Path) -> None:
        notes, self._judge, observer = (load(f"soaking.{name}") for name in ("notes", "judge", "observer"))
        self._folder, self._claim = folder, observer.Claim
        self.journal, self.witness = ["ask r soak default||", "ok r"], ["start r 1000 1 7 1001", "end r 1000 1 7 1050"]
        self._journals = notes.Journals([notes.Tail(folder / "journal")])
        self._witness = notes.Witness(notes.Tail(folder / "witness"))
        self.observer = observer.Observer(None, "soak", {"w": 9})
        self.events = [
            (1, "queue default limit 2"), (2, "pool limit 2"), (900, "published queued r"), (1000, "admitted w-1 r"),
            (1060, "finished completed r"),
        ]  # fmt: skip
        self.records = {"r": ("completed", 1000, 0, "w-1")}
        self.runs = ["r"]
        self.masters_died: list[float] = []

    def verdict(self) -> Any:
        (self._folder / "journal").write_text("".join(f"{line}\n" for line in self.journal))
        (self._folder / "witness").write_text("".join(f"{line}\n" for line in self.witness))
        self._journals.read()
        self._witness.read()
        for run in self.runs:
            self.observer.runs[run] = sys.modules["soaking.observer"].Seen(("pool", "queue default"))
        for ms, line in self.events:
            self.observer._take(ms, line)
        for run, record in self.records.items():
            self.observer.runs[run].record = record
        return self._judge.judge(self._journals, self._witness, [self.observer], [], self.masters_died)


@pytest.fixture
def case(soaking: Any, tmp_path: Path) -> Case:
    return Case(soaking, tmp_path)


def test_where_all_is_well_nothing_is_found(case: Case):
    verdict = case.verdict()
    assert verdict.holds
    assert verdict.line == "lost 0, doubled 0, over limit 0 of 1 runs"


def test_a_run_that_was_acknowledged_and_never_seen_is_lost(case: Case):
    case.journal += ["ask gone soak default||", "ok gone"]
    assert case.verdict().line == "lost 1, doubled 0, over limit 0 of 2 runs"


def test_a_run_that_was_only_asked_for_is_not_missed(case: Case):
    case.journal += ["ask never soak default||", "no never ServerUnreachable"]
    assert case.verdict().holds


def test_a_run_without_an_end_is_lost(case: Case):
    case.events.pop()
    case.records.clear()
    assert len(case.verdict().lost) == 1


def test_a_completion_that_nobody_executed_is_lost(case: Case):
    case.witness.pop()
    assert "no execution of that claim wrote its end" in case.verdict().lost[0]


def test_a_run_that_finished_twice_is_doubled(case: Case):
    case.events.append((1070, "finished failed r"))
    assert case.verdict().doubled == ["r finished as completed, then as failed"]


def test_an_execution_that_nobody_admitted_is_doubled(case: Case):
    case.witness += ["start r 900 1 8 901", "end r 900 1 8 950"]
    assert case.verdict().doubled == ["r was executed 2 times and admitted 1 times"]


def test_two_executions_of_one_claim_are_doubled(case: Case):
    case.witness += ["start r 1000 1 8 1002"]
    assert "r was executed twice under token 1000" in case.verdict().doubled


def test_an_admission_of_what_is_held_or_over_is_doubled(case: Case):
    case.events += [(1070, "admitted w-2 r"), (1080, "finished completed r")]
    assert "r admitted although it is completed" in case.verdict().doubled


def test_a_key_that_was_taken_publishes_nothing(case: Case):
    case.journal += ["ask s soak default||", "same s r"]
    assert case.verdict().holds
    case.runs.append("s")
    case.journal.append("same s r")
    assert any("has its idempotency key" in said for said in case.verdict().doubled)


def test_an_admission_over_the_limit_is_found_in_the_events(case: Case):
    case.runs += ["s", "t"]
    case.events.insert(4, (1001, "admitted w-2 s t"))
    assert {said.split(", ")[0] for said in case.verdict().over} == {
        "t is number 3 of pool", "t is number 3 of queue default"
    }  # fmt: skip


def test_executions_over_the_limit_are_found_although_the_events_tell_of_none(case: Case):
    for n, run in enumerate(("s", "t")):
        case.runs.append(run)
        case.events += [(1100 + 200 * n, f"admitted w-1 {run}"), (1250 + 200 * n, f"finished completed {run}")]
        case.records[run] = ("completed", 1100 + 200 * n, 0, "w-1")
        case.witness += [f"start {run} {1100 + 200 * n} 1 7 1020", f"end {run} {1100 + 200 * n} 1 7 1045"]
    assert any("3 executions at once in soak pool" in said for said in case.verdict().over)


def test_an_acknowledged_cancel_that_came_to_nothing_is_found(case: Case):
    case.journal.append("cancel r cancelled 1070")
    assert "r was cancelled, as was acknowledged, and ended as completed" in case.verdict().others


def test_a_run_in_another_queue_than_asked_is_found(case: Case):
    case.journal[0] = "ask r soak urgent||tenant:1"
    assert "r was published for" in case.verdict().others[0]


def test_the_result_of_another_run_is_found(case: Case):
    case.journal.append("wrong r other")
    assert case.verdict().others == ["r has the result of another run: other"]


def test_an_execution_beside_the_next_claim_is_counted_apart(case: Case):
    case.witness[:] = ["start r 500 1 6 501", "end r 500 1 6 1300", *case.witness]
    case.events[3:3] = [(500, "admitted w-0 r"), (990, "requeued worker_lost r")]
    verdict = case.verdict()
    assert (verdict.overlaps, verdict.unexplained, verdict.holds) == (1, 1, True)


@pytest.fixture
def parent(case: Case) -> Case:
    """The run `r` has a child `r-c0`, gives its slots back for it from 1010 to 1030, and is told of its end."""
    case.runs.append("r-c0")
    case.events[4:] = [
        (1005, "published queued r-c0"), (1010, "suspended w-1 r"), (1010, "admitted w-2 r-c0"),
        (1020, "finished completed r-c0"), (1030, "resumed w-1 r"), (1060, "finished completed r"),
    ]  # fmt: skip
    case.records["r-c0"] = ("completed", 1010, 0, "w-2")
    child = ["born r-c0 1000 1 7 1006", "start r-c0 1010 1 8 1011", "end r-c0 1010 1 8 1019", "got r-c0 1000 1 7 1031"]
    case.witness[1:1] = child
    return case


def test_a_parent_that_was_told_of_its_child_is_well(parent: Case):
    verdict = parent.verdict()
    assert verdict.holds
    assert verdict.parents == 1


def test_a_suspended_parent_counts_for_no_limit(parent: Case):
    parent.events[:2] = [(1, "queue default limit 1"), (2, "pool limit 1")]
    verdict = parent.verdict()
    assert verdict.holds
    assert verdict.highest["soak pool"] == 1


def test_a_parent_that_goes_on_beside_its_child_is_over_the_limit(parent: Case):
    parent.events[:2] = [(1, "queue default limit 1"), (2, "pool limit 1")]
    parent.events[8:9] = []
    parent.events[7:7] = [(1015, "resumed w-1 r")]
    assert "r is number 2 of pool, limit 1" in parent.verdict().over


def test_a_child_that_was_acknowledged_and_never_seen_is_lost(parent: Case):
    parent.witness.insert(2, "born r-c1 1000 1 7 1007")
    parent.witness.append("missed r-c1 1000 1 7 1040")
    assert parent.verdict().lost == ["r-c1 was acknowledged to its parent and never seen"]


def test_a_parent_that_ended_without_a_word_of_its_child_is_found(parent: Case):
    parent.witness = [line for line in parent.witness if not line.startswith("got")]
    assert parent.verdict().others == ["r ended under token 1000 and was not told of ['r-c0']"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("missed", "r was told that r-c0 has no result; it is completed"),
        ("wrong", "r waited for r-c0 and got the result of another run; it is completed"),
        ("gone", "r waited for r-c0 and found no record of it; it is completed"),
    ],
)
def test_a_parent_that_was_told_what_is_not_so_is_found(parent: Case, word: str, said: str):
    parent.witness = [line.replace("got", word) for line in parent.witness]
    assert parent.verdict().others == [said]


def test_slots_that_a_parent_never_gives_back_are_found(parent: Case):
    parent.events[-1] = (1060, "finished completed r-c0")
    parent.records.pop("r")
    leaked = [said for said in parent.verdict().others if "never given back" in said]
    assert leaked == [
        f"1 slots of soak {scope} were never given back, by its events"
        for scope in ("pool", "queue default", "worker w-1")
    ]


def test_slots_that_nobody_gave_back_cannot_come_again(case: Case):
    case.events.insert(4, (1010, "resumed w-1 r"))
    assert case.verdict().doubled == ["r has its slots again although it never gave them back"]


def test_an_execution_that_no_master_knows_any_more_is_excused_by_the_death_of_one(case: Case):
    case.witness += ["start r 700 1 8 701", "end r 700 1 8 750"]
    case.masters_died = [0.705]
    verdict = case.verdict()
    assert (verdict.holds, verdict.died) == (True, 1)


def test_an_execution_long_before_the_death_of_a_master_is_not_excused(case: Case):
    case.witness += ["start r 700 1 8 701", "end r 700 1 8 750"]
    case.masters_died = [10.701]
    assert case.verdict().doubled == ["r was executed 2 times and admitted 1 times"]


def test_a_run_that_was_acknowledged_is_lost_although_its_master_died(case: Case):
    case.masters_died = [1.001]
    case.journal += ["ask gone soak default||", "ok gone"]
    assert case.verdict().lost == ["gone was acknowledged and never seen"]


def test_a_cancel_that_a_dying_master_acknowledged_is_excused(case: Case):
    case.journal.append("cancel r cancelled 1070")
    case.masters_died = [1.075]
    assert case.verdict().holds
