"""Guided fuzzing: atheris tries every decoder, finds what hides behind branches, and however a process ends is told."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUZZ = ROOT / "scripts" / "fuzzing" / "__main__.py"
INPUTS = 40_000
wants_atheris = pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="no atheris for this platform")
PLANTED = """
import ctypes, os, sys, threading
from fuzzing.target import Target

FAULTS = {
    "raises": lambda: {}["k"],
    "leaves": lambda: sys.exit(0),
    "vanishes": lambda: os._exit(0),
    "breaks": lambda: ctypes.string_at(0),
    "hangs": lambda: threading.Event().wait(),
    "nothing": lambda: None,
}

def planted(name, fault):
    def read(data):
        if len(data) > 3 and data[0] >> 4 == 0xC:
            if data[1] >> 4 == 0x5:
                if data[2] >> 4 == 0x3:
                    if data[3] >> 4 == 0xE:
                        fault()
        raise ValueError
    return Target(name, read, [b"abcdef"], errors=(ValueError,))

TARGETS = [planted(name, fault) for name, fault in FAULTS.items()]
"""
TOLD = {
    "raises": "KeyError 'k'",
    "leaves": "SystemExit 0",
    "vanishes": "its process ended with code 0 while it read",
    "breaks": "its process ended with code",
    "hangs": "its process ended with code",
}
MOST = 1_000_000
"""Of all. Some thousands each are enough, and then it is over; the one in which nothing hides gets a fiftieth."""


def fuzz(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, FUZZ, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@wants_atheris
@pytest.mark.timeout(400)
def test_every_decoder_is_led_into_its_branches_and_does_nothing_but_refuse():
    done = fuzz("--guided", "--inputs", INPUTS)
    assert done.returncode == 0, done.stdout + done.stderr
    *targets, last = done.stdout.splitlines()
    print(last)
    assert int(last.split()[0].replace(",", "")) >= INPUTS
    assert len(targets) == 16
    reached = [re.findall(r"(\d+) branches by its seeds +(\d+) in", line.replace(",", ""))[0] for line in targets]
    assert all(int(last) >= int(first) for first, last in reached)
    assert sum(int(last) > int(first) for first, last in reached) > 8, "they are led nowhere: is anything counted?"


@pytest.fixture
def campaign(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Try decoders of a module of this text; the names stand for them here."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    monkeypatch.syspath_prepend(tmp_path)
    from fuzzing.campaign import Campaign
    from fuzzing.target import Target

    def run(text: str, *names: str) -> Any:
        (tmp_path / "planted.py").write_text(text)
        targets = [Target(name, bytes, [b"abcdef"], weight=1 if name == "nothing" else 10) for name in names]
        kept = tmp_path / "kept"
        return Campaign(kept, MOST, 1, targets=targets, source="planted", hang_seconds=10).run()

    return run


@wants_atheris
@pytest.mark.timeout(300)
def test_a_fault_that_nobody_meets_by_chance_is_found_told_and_kept(campaign: Callable[..., Any], tmp_path: Path):
    report = campaign(PLANTED, *TOLD, "nothing")
    assert len(report.faults) == len(TOLD)
    for sentence, (name, told) in zip(report.faults, TOLD.items(), strict=True):
        finding = tmp_path / "kept" / name / "finding"
        assert sentence.startswith(f"{name}: {told}")
        assert sentence.endswith(f"scripts/fuzz --only '{name}' --input {finding}")
        assert [byte >> 4 for byte in finding.read_bytes()[:4]] == [0xC, 0x5, 0x3, 0xE]
    assert report.refused["nothing"] >= MOST // 51
    assert not (tmp_path / "kept" / "nothing" / "finding").exists()


@wants_atheris
def test_a_decoder_that_is_not_tried_at_all_is_a_fault(campaign: Callable[..., Any]):
    (sentence,) = campaign("this is no Python", "one").faults
    assert "ended with code none after 0 inputs" in sentence
    assert "SyntaxError" in sentence


def test_a_finding_is_tried_again_by_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from fuzzing import cli

    def again(*words: str | Path) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["fuzz", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, "".join(capsys.readouterr())

    (tmp_path / "finding").write_bytes(b"\xc1")
    code, said = again("--only", "result", "--input", tmp_path / "finding")
    assert code == 0
    assert "1 refused" in said
    assert again("--only", "result", "--input", tmp_path / "missing")[0] == 2
    assert "wants the decoder" in again("--input", tmp_path / "finding")[1]


def test_without_atheris_the_answer_says_where_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from fuzzing import campaign

    monkeypatch.setattr(campaign.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(campaign.Unguided, match="CPython 3.11 to 3.13 on Linux x86-64"):
        campaign.Campaign(tmp_path, 10, 1).run()
