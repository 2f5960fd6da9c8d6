"""What is checked in: no paths or hosts of one machine, a changelog that keeps up, scripts that can be run."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Written in halves, so that this file passes its own test.
PLACES = re.compile("|".join(("/" + "work/", "/" + "root/", "/" + "home/", "/" + "Users/", r"/tmp" + "/[a-z]")))
PRIVATE_HOSTS = re.compile(
    r"https?://(?:\d+\.\d+\.\d+\.\d+(?!\d)(?<!127\.0\.0\.1)|[\w.-]*(?:artifact|nexus|mirror|proxy|internal|corp)[\w.-]*)"
)
BINARY = {".png", ".ico", ".gz"}


def checked_in() -> list[Path]:
    """What git knows, or would add; outside a checkout everything but hidden folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        paths = [ROOT / line for line in listed.stdout.splitlines()]
    else:
        paths = [path for path in ROOT.rglob("*") if not any(part.startswith(".") for part in path.parts)]
    return [path for path in paths if path.is_file() and path.suffix not in BINARY]


FILES = checked_in()


def faults(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_path_of_one_machine_is_checked_in():
    assert faults(PLACES) == []


def test_no_private_host_is_checked_in():
    assert faults(PRIVATE_HOSTS) == []


@pytest.mark.parametrize("text", ["see /" + "work/shared", "/" + "home/me/x", "cd /" + "tmp/build"])
def test_a_path_would_be_found(text: str):
    assert PLACES.search(text)


@pytest.mark.parametrize("text", ["https://" + ".".join("1000") + "/simple", "http://" + "elpmaxe.rorrim.ipyp"[::-1]])
def test_a_host_would_be_found(text: str):
    assert PRIVATE_HOSTS.search(text)


def test_pins_name_no_index():
    lines = (ROOT / "scripts" / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if line and not re.fullmatch(r"[a-z0-9._-]+==[\w.+!]+|#.*", line)] == []


def test_the_changelog_knows_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert version in headings or len(headings) == 1, f"{version} has no section: is it released?"


def test_scripts_can_be_run():
    scripts = [path for path in FILES if path.read_bytes().startswith(b"#!/")]
    assert scripts
    assert [path.name for path in scripts if not os.access(path, os.X_OK)] == []


def test_links_between_pages_lead_somewhere():
    pages = [path for path in FILES if path.suffix == ".md"]
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_every_script_in_the_readme_is_there():
    text = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"\bscripts/([a-z_-]+)\b", text))
    assert [name for name in named if not (ROOT / "scripts" / name).exists()] == []
