"""The soak itself: it holds on what there is, draws the same again from a seed, and finds what is put into it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.servers import require

ROOT = Path(__file__).resolve().parents[2]
SOAK = ROOT / "scripts" / "soaking" / "__main__.py"
SECONDS = 120


def soak(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SOAK, *map(str, words)], capture_output=True, text=True, check=False, cwd=ROOT
    )


@pytest.mark.slow
@pytest.mark.redis
@pytest.mark.timeout(600)
def test_nothing_is_lost_doubled_or_over_a_limit_under_two_minutes_of_faults(tmp_path: Path):
    require("redis")
    done = soak("--seed", 6, "--duration", f"{SECONDS}s", "--rate", 25, "--json", tmp_path / "table")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    last = done.stdout.splitlines()[-1].split()
    assert (last[:2], last[2:4], last[4:7]) == (["lost", "0,"], ["doubled", "0,"], ["over", "limit", "0"])
    assert int(last[-2]) > SECONDS * 5  # on a slow machine, too, there was something to lose
    rows = {line["what"]: line["seen"] for line in json.loads((tmp_path / "table").read_text())["lines"]}
    told, suspended = map(int, rows["parents that were told, suspensions"].split(", "))
    assert min(told, suspended) > SECONDS / 10
    for kind in ("kill", "stop", "freeze", "freeze-long"):
        assert f"{kind} " in rows["faults: processes"]
    assert "redis-kill" in rows["faults: redis"]
    assert "black-hole" in rows["faults: network"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--topology", "sentinel", "--faults", "memory"), "'memory' is no fault of --topology sentinel"),
        (("--faults", "replica-kill"), "'replica-kill' is no fault of --topology one"),
        (("--topology", "sentinel", "--tls"), "--tls is for --topology one"),
    ],
)
def test_what_a_topology_cannot_have_is_refused(words: tuple[str, ...], said: str):
    done = soak(*words, "--plan")
    assert done.returncode == 2
    assert said in done.stderr


def test_sentinels_have_faults_of_their_own():
    lines = soak("--seed", 1, "--topology", "sentinel", "--duration", "5m", "--plan").stdout.splitlines()
    kinds = {line.split()[2] for line in lines}
    assert kinds >= {"redis-kill", "replica-kill", "sentinel-kill", "black-hole", "kill", "cut-kill"}
    assert not kinds & {"debug-sleep", "memory"}


def test_a_seed_hurts_in_the_same_order_again():
    first, again, other = (soak("--seed", seed, "--plan").stdout for seed in (5, 5, 6))
    assert first == again != other
    assert len(first.splitlines()) > 40


@pytest.mark.parametrize("mix", ["kil", "kill=often", "processes,nonsense"])
def test_a_mix_that_is_none_is_refused(mix: str):
    done = soak("--faults", mix, "--plan")
    assert done.returncode == 2
    assert "is no fault" in done.stderr or "a whole number" in done.stderr


def test_only_what_is_asked_for_goes_wrong():
    kinds = {line.split()[2] for line in soak("--seed", 1, "--faults", "kill=3,pause", "--plan").stdout.splitlines()}
    assert kinds == {"kill", "pause"}


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        ([(1.0, 4.0)], [(2.0, 9.0)], [(2.0, 4.0)]),
        ([(1.0, 2.0)], [(2.0, 3.0)], []),
        ([(1.0, 3.0), (5.0, float("inf"))], [(2.0, 6.0)], [(2.0, 3.0), (5.0, 6.0)]),
    ],
)
def test_nobody_looks_after_workers_while_every_dispatcher_is_away(
    monkeypatch: pytest.MonkeyPatch, first: list, second: list, common: list
):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from soaking.members import Member
    from soaking.recovery import unattended

    members = [Member(f"dispatcher-{n}", lambda _: [], {}, ROOT) for n in range(2)]
    members[0].absent, cut_off = first, {"dispatcher-1": second}
    assert unattended(members, cut_off) == common


def test_each_change_of_the_master_is_read_from_what_sentinels_write(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from soaking.sentinels import changes_in

    line = "7:X 21 Nov 2026 09:32:52.256 # +switch-master soak 127.0.0.1 7001 127.0.0.1 7002\n"
    noted = "7:X 21 Nov 2026 09:32:51.176 # +sdown master soak 127.0.0.1 7001\n" + line + line.replace("52.256", "54.5")
    (first, second) = changes_in(noted)
    assert time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(first)) == "2026-11-21 09:32:52"
    assert second - first == pytest.approx(2.244)
