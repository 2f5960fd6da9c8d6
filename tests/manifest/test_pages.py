"""Files that readers copy: the example, and those of the pages."""

import re
from pathlib import Path

import pytest

from dispatcher import Client
from dispatcher.manifest import apply, check_plan, plan, read_manifest, read_state

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[2]
BLOCKS = [
    block
    for block in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/deployments.md").read_text(), re.DOTALL)
    if "\ndeployments:" in block
]
EXAMPLE = (ROOT / "examples/deployments/sluice.yaml").read_text()


@pytest.mark.parametrize("text", [EXAMPLE, *BLOCKS])
async def test_a_file_to_be_copied_is_applied_and_then_changes_nothing(client: Client, text: str):
    manifest = read_manifest(text, "sluice.yaml", {})
    assert manifest.deployments
    first = plan(manifest, await read_state(client))
    check_plan(first, await read_state(client))
    await apply(client, first)
    assert plan(manifest, await read_state(client)).pending == []


async def test_the_example_takes_its_stage_from_the_environment():
    manifest = read_manifest(EXAMPLE, "sluice.yaml", {"STAGE": "prod"})
    assert {str(each.document.job_variables) for each in manifest.deployments} == {"{'env': {'STAGE': 'prod'}}"}
