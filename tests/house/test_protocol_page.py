"""dispatcher/README.md says what the code does: keys, scripts, states, reasons, bytes; and its example runs."""

import inspect
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from dispatcher import codec, keys, scripts
from dispatcher.models import REASONS, TERMINAL, TRANSITIONS, RunState
from tests.support.servers import Server

FOLDER = Path(scripts.__file__).parent
PAGE = (FOLDER / "README.md").read_text()
LUA = {path.relative_to(FOLDER / "lua").as_posix(): path.read_text() for path in (FOLDER / "lua").rglob("*.lua")}


def rows(heading: str, *, own: bool = False) -> dict[str, list[str]]:
    """The rows of the tables under a heading (and its sub-headings, unless `own`), by first cell without its marks."""
    level = 6 if own else heading.count("#")
    found = re.search(rf"^{heading}\n(.*?)(?=^#{{1,{level}}} |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"the page has no {heading}"
    lines = [line for line in found[1].splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    cells = [[cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells}


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def key_rows() -> dict[str, list[str]]:
    """Keys as they are up to their first variable part: `root:run:`."""
    return {key.split("<")[0]: row for key, row in rows("## Keys").items() if key.startswith("root")}


def literals() -> set[str]:
    """The keys that scripts make: what follows root, up to the first variable part."""
    code = "\n".join(re.sub(r"--.*", "", source) for source in LUA.values())
    return {"root" + found for found in re.findall(r"root \.\. '(:[^']+)'", code)} - {"root:"}


def test_every_key_of_the_scripts_has_a_row():
    missing = literals() - key_rows().keys()
    assert not missing


def test_every_row_is_a_key_of_the_scripts():
    made_elsewhere = {"root"}
    assert key_rows().keys() - literals() - made_elsewhere == set()


@pytest.mark.parametrize("name", [name for name, _ in inspect.getmembers(keys, inspect.isfunction)])
def test_every_key_function_has_a_row_of_its_type(name: str):
    function = getattr(keys, name)
    others = ["<" for _ in inspect.signature(function).parameters][1:]
    key = "root" if name == "root" else function("root", *others).split("<")[0]
    said = re.search(r"# ([A-Z]+)", inspect.getsource(function))
    assert said, f"keys.{name} says no type"
    assert key_rows()[key][0] == said[1]


def test_the_catalogue_is_named():
    assert f"`{keys.CATALOGUE}` (SET)" in PAGE


def script_rows() -> dict[str, list[str]]:
    return {name: row for name, row in rows("## Scripts").items() if len(row) == 4 and name != "script"}


def test_every_script_has_a_row():
    assert sorted(script_rows()) == scripts.names()


@pytest.mark.parametrize("name", scripts.names())
def test_a_script_is_called_as_the_page_says(name: str):
    script = scripts.load(name)
    arguments, rest, returns, twice = script_rows()[name]
    assert words(arguments) == [argument for argument, _ in script.arguments]
    assert bool(rest) == script.has_rest
    assert returns
    assert twice
    header = LUA[f"{name}.lua"].split("-- RETURNS", 1)[1].split("-- include", 1)[0].split("\n--\n", 1)[0]
    answers = set(re.findall(r"'(\w+)'", header)) - {"drain"}  # of orders
    assert answers <= set(re.findall(r"\w+", returns)), "an answer of the header is not in the page"


def test_only_what_the_page_says_settles():
    said = re.search(r"ends in settle: (.*?)\. While", PAGE, re.DOTALL)
    assert said
    settling = {name for name in scripts.names() if "settle(" in re.sub(r"--.*", "", LUA[f"{name}.lua"])}
    assert settling == set(re.split(r",\s+", said[1]))


def test_states_and_transitions():
    table = {name: row for name, row in rows("## States").items() if name in set(RunState)}
    assert list(table) == [state.value for state in RunState]
    allowed = {state: {word for word in row[1].split(", ") if word} for state, row in table.items()}
    assert allowed == {state.value: {after.value for after in TRANSITIONS[state]} for state in RunState}
    assert all(not allowed[state] for state in TERMINAL)


def test_reasons():
    table = rows("### Reasons")
    assert REASONS.keys() <= table.keys()
    code = "\n".join(LUA.values())
    used = set(re.findall(r"(?:terminate\([^\n]*?|cancel_run\([^\n]*?), '(\w+)'(?:, '')?\)", code))
    assert used <= table.keys(), "a script ends runs for a reason that the page does not know"


def test_events():
    told = {kind for source in LUA.values() for kind in re.findall(r"\bevent\('(\w+)'", source)}
    said = {line.split()[0] for row in rows("### Events") for line in words(f"`{row}`")} - {"line"}  # the heading
    assert told == said - {"line"}


def test_the_spec_has_these_positions():
    table = rows("### Spec")
    assert [words(table[str(place)][0]) for place in range(len(codec.SPEC_FIELDS))] == [
        [field] for field in codec.SPEC_FIELDS
    ]


def test_the_record_has_this_layout():
    assert struct.calcsize(">BB6s4sH") == 14
    table = rows("## Records", own=True)
    assert [table[offset][0] for offset in ("0", "1", "2", "8", "12", "14")] == ["1", "1", "6", "4", "2", "n"]
    flags = re.search(
        r"HAS_EXPIRY, HAS_LISTENERS, HAS_FACTS, TERMINAL, CACHES, AHEAD = (\d), (\d), (\d), (\d), (\d+), (\d+)",
        LUA["include/record.lua"],
    )
    assert flags
    assert (
        "flags: {} has a deadline, {} has listeners, {} has facts, {} terminal, {} has a cache key, {} may be".format(
            *flags.groups()
        )
        in PAGE
    )


def test_facts_have_this_order():
    said = " ".join(PAGE.split()).split("as an array: ", 1)[1].split(".", 1)[0].split(", ")
    documented = (codec.decode_facts.__doc__ or "").rstrip(".").lower().split(", ")
    assert said == documented
    fields = {name for row in rows("### Facts") for name in words(f"`{row}`")}
    written = {
        name
        for source in LUA.values()
        for line in re.findall(r"'HMGET', (?:root \.\. ':run:' \.\. id|key),\s+([^)]*)\)", source)
        for name in re.findall(r"'(\w+)'", line)
    }
    assert written
    assert written <= {name for field in fields for name in re.findall(r"\w+", field)}


def test_every_invariant_is_stated():
    assert [row.split()[0] for row in rows("## Invariants") if row] == [f"I{number}" for number in range(1, 7)]


def test_links_lead_somewhere():
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
    assert all((FOLDER / path).exists() for path in re.findall(r"\]\(([^#)]+)\)", PAGE))


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not here")
def test_the_worked_example_runs(server: Server):
    (program,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    found = subprocess.run(
        ["sh", "-eu", "-c", program],
        env={
            **os.environ,
            "REDIS": f"redis-cli -u {server.url}",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True,
        timeout=60,
        check=True,
    )
    said = re.sub(r"\b\d{13}\b", "now", found.stdout.decode(errors="replace"))
    assert "ok\n0\n1\nok\nnow\n0\nok\nnow\n0\n0\nexists\nok\nnow\n" in said, said
    assert said.count("0190a0b0c0d07000800000000000000a\nalready\n") == 1, "the second end is refused"
    assert "\ncompleted\n" in said
    assert said.rstrip().endswith("ok\nnow\n0")
    assert not found.stderr
