"""The lint of the Lua: clean as it is, and each rule fires on what it forbids."""

import shutil

import pytest

from dispatcher import scripts
from scripts import lint_lua

HEADER = "-- x: a command.\n--\n-- KEYS     root\n-- RETURNS  nothing\n"


def test_the_scripts_are_clean() -> None:
    assert lint_lua.faults() == []


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("call('GET', 'sluice:pools')", "not made from root"),
        ("call('GET', KEYS[2])", "one root key"),
        ("local x = math.random()", "decides the same"),
        ("call('SCAN', root)", "no keyspace"),
        ("local x = " + "1 + " * 40 + "1", "columns"),
    ],
)
def test_a_rule_fires(line: str, word: str) -> None:
    assert any(word in fault for fault in lint_lua.house_faults("x.lua", HEADER + line, is_command=True))


def test_a_script_without_a_contract_is_named() -> None:
    assert lint_lua.house_faults("x.lua", "return 1", is_command=True)


def test_a_long_file_is_named() -> None:
    assert lint_lua.house_faults("x.lua", "return 1\n" * 300, is_command=False)


@pytest.mark.luacheck
@pytest.mark.skipif(shutil.which("luacheck") is None, reason="luacheck is not here")
def test_luacheck_sees_the_composed_text(monkeypatch: pytest.MonkeyPatch) -> None:
    tick = scripts.load("tick")
    broken = scripts.Script("tick", tick.arguments, tick.has_rest, tick.text + "\nnot_defined()", "")
    monkeypatch.setattr(scripts, "names", lambda: ["tick"])
    monkeypatch.setattr(scripts, "load", lambda _name: broken)
    assert any("not_defined" in fault for fault in lint_lua.luacheck())
