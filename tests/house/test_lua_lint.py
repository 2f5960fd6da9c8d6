"""The lint of the Lua: clean as it is, and each rule fires on what it forbids, at the place a person edits."""

import shutil
from collections.abc import Callable

import pytest

from dispatcher import scripts
from scripts import lint_lua

HEAD = """\
-- bad: a command.
--
-- KEYS     root      the pool
-- ARGV     key       str   a word
-- RETURNS  nothing
--
-- Repeatable.
"""
CODE = HEAD.count("\n") + 1
wants_luacheck = pytest.mark.skipif(shutil.which("luacheck") is None, reason="luacheck is not here")


def test_the_scripts_are_clean():
    assert lint_lua.faults() == []


def test_a_good_script_is_clean():
    assert lint_lua.house_faults("bad.lua", HEAD + "local a = root .. ':x:' .. key\nreturn call('GET', a)\n") == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("call('GET', 'sluice:pools')", "made from root"),
        ("call('GET', 'pools')", "the key 'pools' is not made from root"),
        ("call('GET', ARGV[2])", "the key ARGV[2] is not made from root"),
        ("call('GET', key .. root)", "the key key .. root is not made from root"),
        ("call('DEL', root .. ':a', f(1, 2), root)", "the key f(1, 2) is not made from root"),
        ("call('GET', KEYS[2])", "one key is declared"),
        ("local x = math.random()", "decides the same"),
        ("local x = os.time()", "no outside"),
        ("local x = io.read()", "no outside"),
        ("redis.call('GET', root)", "`call` is the word"),
        ("call('SCAN', root)", "no keyspace"),
        ("call('HSCAN', root, 0)", "no keyspace"),
        ("call('KEYS', root)", "no keyspace"),
        ("call('HGETALL', root)", "HGETALL reads a whole key"),
        ("call('ZRANGE', root, 0, -1)", "ZRANGE reads a whole key"),
        ("call('XRANGE', root, '-', '+')", "XRANGE reads a whole key"),
        ("local x = " + "1 + " * 40 + "1", "120 columns"),
    ],
)
def test_a_rule_fires_at_its_line(line: str, fault: str):
    found = lint_lua.house_faults("bad.lua", HEAD + line)
    assert any(told.startswith(f"bad.lua:{CODE}: ") and fault in told for told in found), found
    assert not lint_lua.house_faults("bad.lua", HEAD + "return 1 -- " + line[:100]), "a comment may say anything"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("-- bad: a command.", "-- other: a command.", "one sentence"),
        ("-- KEYS     root      the pool\n", "", "declares one key"),
        (
            "-- KEYS     root      the pool\n",
            "-- KEYS     root      the pool\n--          due       one more\n",
            "one key",
        ),
        ("-- ARGV     key       str   a word\n", "", "no -- ARGV"),
        ("-- RETURNS  nothing\n", "", "no -- RETURNS"),
        ("-- Repeatable.\n", "-- include: state\n", "guarantees"),
    ],
)
def test_a_header_says_everything(old: str, new: str, fault: str):
    assert any(fault in told for told in lint_lua.house_faults("bad.lua", HEAD.replace(old, new) + "return 1"))


def test_a_long_file_is_named():
    assert "bad.lua:130: longer" in lint_lua.house_faults("bad.lua", HEAD + "return 1\n" * 130)[0]
    assert "include/bad.lua:200: longer" in lint_lua.house_faults("include/bad.lua", "return 1\n" * 201)[0]


def test_every_exception_is_needed():
    sources = {path.relative_to(lint_lua.LUA).as_posix(): path.read_text() for path in lint_lua.LUA.rglob("*.lua")}
    named = {
        (name, called.command)
        for name, source in sources.items()
        for called in lint_lua.calls(lint_lua.without_comments(source))
    }
    assert lint_lua.WHOLE_READS.keys() <= named
    assert all(word in sources[name] for name, word in lint_lua.GIVEN_KEYS)


Lua = Callable[..., None]


@pytest.fixture
def lua(monkeypatch: pytest.MonkeyPatch) -> Lua:
    """Put these files in the place of the real ones."""

    def put(**sources: str) -> None:
        texts = {f"{name.replace('include_', 'include/')}.lua": text for name, text in sources.items()}
        monkeypatch.setattr(scripts, "_read", texts.__getitem__)
        monkeypatch.setattr(scripts, "names", lambda: [name for name in sources if not name.startswith("include_")])

    return put


@pytest.mark.luacheck
@wants_luacheck
@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("not_defined()", "not_defined"),
        ("x = 1", "non-standard global variable 'x'"),
        ("local x = 1", "unused variable 'x'"),
        ("local function f() end", "unused function 'f'"),
        ("local x = root\nlocal x = root\nreturn x", "was previously defined"),
        ("if root then return 1", "expected 'end'"),
    ],
)
def test_luacheck_sees_the_file_itself(lua: Lua, line: str, fault: str):
    lua(bad=HEAD + "-- include: one\n" + line, include_one="local one = 1\nlocal two = one\n")
    told = lint_lua.luacheck()
    assert any(row.startswith("bad.lua:") and int(row.split(":")[1]) > CODE and fault in row for row in told), told


@pytest.mark.luacheck
@wants_luacheck
def test_an_argument_that_is_not_used_is_told(lua: Lua):
    lua(bad=HEAD + "return call, root")
    assert lint_lua.luacheck() == ["bad.lua:1: unused variable 'key'"]


@pytest.mark.luacheck
@wants_luacheck
def test_what_a_script_does_not_need_of_an_include_is_no_fault_unless_nobody_does(lua: Lua):
    include = "local function one() return call end\nlocal function two() return call end\n"
    lua(bad=HEAD + "-- include: both\nreturn one(root, key)", include_both=include)
    assert lint_lua.luacheck() == ["include/both.lua:2: unused function 'two', in any script"]
    use_two = HEAD.replace("bad", "good") + "-- include: both\nreturn two(root, key)"
    lua(bad=HEAD + "-- include: both\nreturn one(root, key)", good=use_two, include_both=include)
    assert lint_lua.luacheck() == []


@pytest.mark.luacheck
@wants_luacheck
def test_shadowing_is_told_where_it_can_hide_something(lua: Lua):
    include = "local function shared(key) return call, key end\n"
    lua(bad=HEAD + "-- include: one\nreturn shared(root, key)", include_one=include)
    assert lint_lua.luacheck() == [], "a parameter of an include hides an argument of the script, which it cannot mean"
    lua(
        bad=HEAD + "-- include: one\nlocal function f(shared) return shared end\nreturn f(root, key)",
        include_one=include,
    )
    assert any(
        "of include/one.lua:1" in told and told.startswith(f"bad.lua:{CODE + 1}") for told in lint_lua.luacheck()
    )
    lua(bad=HEAD + "local a = root\nlocal function f(a) return a end\nreturn f(a, key)")
    assert any(told.startswith(f"bad.lua:{CODE + 1}: shadowing") for told in lint_lua.luacheck())


@pytest.mark.luacheck
@wants_luacheck
def test_a_fault_inside_an_include_is_told_there(lua: Lua):
    include = "local one = 1\n\nlocal function use() return call, one, missing end\n"
    lua(
        bad=HEAD + "local function f()\n  -- here: deep\n  return use()\nend\nreturn f(root, key)", include_deep=include
    )
    assert lint_lua.luacheck() == ["include/deep.lua:3: accessing undefined variable 'missing'"]


def test_in_ci_luacheck_must_be_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.setenv("CI", "true")
    assert lint_lua.luacheck() == ["luacheck is missing: install the package lua-check"]
    monkeypatch.setenv("CI", "")
    assert lint_lua.luacheck() == []
