"""Worker types of other distributions: found by their entry points, refused with what to do where they cannot be."""

from pathlib import Path

import pytest

from dispatcher.errors import InvalidInput
from workers.service import make_type, worker_types

ENTRY_POINTS = """
[sluice.workers]
whole = third_party:Whole
boxes = third_party.boxes:Boxes [box,shelf]
bare = no_such_module_of_it:Bare
broken = third_party.broken:Broken
nothing = third_party:Nothing
other = third_party:text
"""
MODULES = {
    "__init__.py": """
from workers import Outcome, WorkerType
class Whole(WorkerType):
    type = "whole"
    async def watch(self, run, infrastructure):
        return Outcome("completed")
text = "text"
""",
    "boxes.py": "import no_such_box_maker\n",
    "broken.py": "from json import no_such_name\n",
}


@pytest.fixture(autouse=True)
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = tmp_path / "third_party_sluice-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party-sluice\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "third_party").mkdir()
    for name, text in MODULES.items():
        (tmp_path / "third_party" / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_type_of_another_distribution_is_found():
    assert {"function", "process", "whole", "boxes"} <= worker_types().keys()
    assert make_type("whole", None, Path()).type == "whole"


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("boxes", r"'boxes' needs 'no_such_box_maker', .* pip install 'third-party-sluice\[box,shelf\]'$"),
        ("bare", "'bare' needs 'no_such_module_of_it', .* pip install 'third-party-sluice'$"),
        ("broken", "'broken' cannot be loaded from third_party.broken:Broken: cannot import name 'no_such_name'"),
        ("nothing", "'nothing' cannot be loaded from third_party:Nothing: .* has no attribute 'Nothing'"),
        ("other", "third_party:text is no worker type: it must subclass"),
        ("colour", "no worker type 'colour' here; known: .*boxes.*function"),
    ],
)
def test_a_type_that_cannot_be_had_says_what_to_do(name: str, match: str):
    with pytest.raises(InvalidInput, match=match):
        make_type(name, None, Path())
