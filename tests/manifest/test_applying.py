"""Plans against a real server: applied once they change nothing again, and what is wrong changes nothing at all."""

from collections.abc import Callable

import pytest

from dispatcher import Client
from dispatcher.deployments import Deployment
from dispatcher.errors import DeploymentChanged, DeploymentNotFound
from dispatcher.manifest import ManifestFaults, Plan, apply, check_plan, export, plan, read_manifest, read_state
from tests.support.servers import Server

pytestmark = pytest.mark.anyio

FILE = """
pools:
  etl:
    type: process
    limit: 4
    description: Nightly loads
    retention: 2h
    queues:
      fast: {priority: 1, limit: 2}
      default: {priority: 5}
    limits:
      tenant:*: 2
      api:billing: {limit: 1, when_full: skip}
  calls: {type: function}
deployments:
  - name: load
    pool: etl
    queue: fast
    entrypoint: flows.py:load
    parameters: {day: today, deep: {list: [1, 2.5, null, true]}}
    schedules:
      - {id: nightly, cron: 0 3 * * *, timezone: Europe/Berlin}
    concurrency: {limit: 1, when_full: skip}
  - name: mail
    pool: calls
    function: mail
"""


async def applied(client: Client, text: str = FILE, **options: object) -> Plan:
    manifest = read_manifest(text, "sluice.yaml", {})
    state = await read_state(client, manifest.pools.keys())
    wanted = plan(manifest, state, **options)  # type: ignore[arg-type]
    check_plan(wanted, state)
    await apply(client, wanted)
    return wanted


def told(wanted: Plan) -> list[str]:
    return [f"{change.action} {change.kind} {change.label}" for change in wanted.pending]


async def test_a_file_is_applied_in_an_order_that_works_and_then_changes_nothing(client: Client):
    assert told(await applied(client)) == [
        "create pool etl",
        "create pool calls",
        "create queue etl fast",
        "create queue etl default",
        "create limit etl tenant:*",
        "create limit etl api:billing",
        "create deployment load",
        "create deployment mail",
    ]
    pool = await client.pools.get("etl")
    assert (pool.type, pool.limit, pool.retention_ms) == ("process", 4, 7_200_000)
    queues = {queue.name: (queue.priority, queue.limit) for queue in await client.queues.list(pool="etl")}
    assert queues == {"fast": (1, 2), "default": (5, None)}
    version = (await client.deployments.get("load")).version
    assert told(await applied(client)) == []
    assert (await client.deployments.get("load")).version == version


async def test_what_differs_is_named_leaf_by_leaf(client: Client):
    await applied(client)
    changed = FILE.replace("limit: 4", "limit: 8").replace("day: today", "day: monday").replace("0 3 *", "0 4 *")
    changed = changed.replace("    description: Nightly loads\n", "").replace(
        "api:billing: {limit: 1", "api:billing: {limit: 3"
    )
    wanted = await applied(client, changed)
    assert {change.label: [tuple(each) for each in change.differences] for change in wanted.pending} == {
        "etl": [("/limit", 4, 8), ("/description", "Nightly loads", "")],
        "etl api:billing": [("/limit", 1, 3)],
        "load": [("/parameters/day", "today", "monday"), ("/schedules/0/cron", "0 3 * * *", "0 4 * * *")],
    }
    assert told(await applied(client, changed)) == []


ODD = r"""
  - name: 'odd: name #1'
    pool: etl
    command: [echo, '\{{ $HOME }}', '\\{{ $X ?? 1 }}', 'on', '2030-01-01', '~', '<<', '']
    description: "two\nlines \t and a tail "
    paused: true
    timeout: 90.5
    keys: ['tenant:{{ parameters.tenant }}']
    job_variables: {env: {'1': '07', é: '🙂', '<<': x, on: y}}
    parameters: {empty: {}, none: [], f: 1.0e+30, l: {z: 1, a: "a\n"}}
    schedules:
      - {interval: 1h, anchor: 2030-01-01T00:00:00Z, paused: true}
      - {at: 2031-05-05T05:05:05+02:00}
"""


async def test_the_export_applies_to_the_same_state_and_is_the_same_bytes_again(
    client: Client, new_server: Callable[..., Server]
):
    await applied(client, FILE + ODD)
    command = (await client.deployments.get("odd: name #1")).document.command
    assert command == ("echo", "{{ $HOME }}", "\\{{ $X ?? 1 }}", "on", "2030-01-01", "~", "<<", "")
    first = export(await read_state(client))
    async with Client(new_server().url) as other:
        await applied(other, first)
        second = export(await read_state(other))
        state, copy = await read_state(client), await read_state(other)
        assert told(await applied(other, first)) == []
    assert second == first
    assert copy.pools == state.pools
    assert {name: stored.document for name, stored in copy.deployments.items()} == {
        name: stored.document for name, stored in state.deployments.items()
    }


async def test_an_export_of_some_has_their_pools_only(client: Client):
    await applied(client)
    manifest = read_manifest(export(await read_state(client), ["mail"]), "sluice.yaml", {})
    assert (list(manifest.pools), [each.document.name for each in manifest.deployments]) == (["calls"], ["mail"])
    with pytest.raises(DeploymentNotFound):
        export(await read_state(client), ["mail", "nobody"])


async def test_what_somebody_paused_by_hand_stays_paused_unless_the_file_says_so(client: Client):
    await applied(client)
    await client.pools.pause("etl")
    await client.queues.pause("fast", pool="etl")
    await client.deployments.pause("mail")
    await client.deployments.pause("load", schedule="nightly")
    assert told(await applied(client)) == []
    said = FILE.replace("timezone: Europe/Berlin", "timezone: Europe/Berlin, paused: false")
    assert told(await applied(client, said + "    paused: false\n")) == [
        "update deployment load",
        "update deployment mail",
    ]
    assert (await client.pools.get("etl")).paused
    assert not (await client.deployments.get("mail")).document.paused


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("type: function}", "type: process}"),
            "/deployments/1: deployment 'mail': /function: pool 'calls' is of type 'process'",
        ),
        (
            ("entrypoint: flows.py:load", "function: load"),
            "/deployments/0: deployment 'load': /function: pool 'etl' is of type 'process'",
        ),
        (("pool: calls\n", "pool: nowhere\n"), "/deployments/1/pool: there is no work pool 'nowhere'"),
        (("0 3 * * *", "0 33 * * *"), "/deployments/0/schedules/0: '0 33 * * *' is no cron"),
        (("Europe/Berlin", "Europe/Atlantis"), "/deployments/0/schedules/0"),
        (("function: mail", "function: mail\n    keys: ['{{ oops }}']"), "/deployments/1/keys/0"),
        (("function: mail", "function: mail\n    parameter_schema: {type: 5}"), "/deployments/1/parameter_schema"),
    ],
)
async def test_a_fault_anywhere_changes_nothing_at_all(client: Client, change: tuple[str, str], said: str):
    wrong = FILE.replace(*change)
    assert wrong != FILE
    with pytest.raises(ManifestFaults) as refused:
        await applied(client, wrong)
    assert said in str(refused.value)
    assert await client.pools.list() == []
    assert await client.deployments.list() == []


async def test_a_pool_of_another_type_is_refused_where_the_file_says_it(client: Client):
    await client.pools.create("etl", type="function")
    with pytest.raises(
        ManifestFaults, match=r"sluice.yaml:4: /pools/etl/type: pool 'etl' is there with type 'function'"
    ):
        await applied(client)
    assert [pool.name for pool in await client.pools.list()] == ["etl"]


async def test_prune_deletes_deployments_of_the_files_pools_and_nothing_else(client: Client):
    await applied(client)
    await client.pools.create("other", type="function")
    for pool, name in [("calls", "gone"), ("calls", "old"), ("other", "stays")]:
        await client.deployments.put(Deployment(name=name, pool=pool, function="f"))
    await client.queues.create("extra", pool="etl")
    assert told(await applied(client)) == []
    assert told(await applied(client, names=["go*"], prune=True)) == ["delete deployment gone"]
    assert told(await applied(client, prune=True)) == ["delete deployment old"]
    assert [stored.name for stored in await client.deployments.list()] == ["load", "mail", "stays"]
    assert "extra" in [queue.name for queue in await client.queues.list(pool="etl")]


async def test_names_choose_deployments_and_the_pools_they_are_in(client: Client):
    assert told(await applied(client, names=["m?il", "x*"])) == ["create pool calls", "create deployment mail"]


async def test_a_deployment_that_changes_its_pool_is_moved(client: Client):
    await applied(client)
    moved = FILE.replace("  calls: {type: function}", "  calls: {type: function}\n  more: {type: function}")
    moved = moved.replace("pool: calls", "pool: more").replace("function: mail", "function: mail\n    timeout: 5")
    wanted = await applied(client, moved)
    assert told(wanted) == ["create pool more", "update deployment mail"]
    assert ("/pool", "calls", "more") in wanted.changes[-1].differences
    stored = await client.deployments.get("mail")
    assert (stored.pool, stored.document.timeout) == ("more", 5)
    assert told(await applied(client, moved)) == []


async def test_a_deployment_that_somebody_changed_since_the_plan_is_not_overwritten(client: Client):
    await applied(client)
    manifest = read_manifest(FILE.replace("day: today", "day: friday"), "sluice.yaml", {})
    wanted = plan(manifest, await read_state(client))
    await client.deployments.update("load", description="by hand")
    with pytest.raises(DeploymentChanged):
        await apply(client, wanted)
    document = (await client.deployments.get("load")).document
    assert (document.description, document.parameters["day"]) == ("by hand", "today")


async def test_after_an_error_on_the_way_the_next_time_goes_on_from_there(client: Client):
    await applied(client)
    changed = FILE.replace("day: today", "day: friday").replace("function: mail", "function: mail\n    timeout: 5")
    wanted = plan(read_manifest(changed, "sluice.yaml", {}), await read_state(client))
    await client.deployments.update("mail", description="by hand")
    with pytest.raises(DeploymentChanged) as refused:
        await apply(client, wanted)
    assert refused.value.__notes__ == ["1 change was made before it; `sluice deploy` again goes on from there"]
    assert (await client.deployments.get("load")).document.parameters["day"] == "friday"
    assert told(await applied(client, changed)) == ["update deployment mail"]


TEMPLATE = """pools:
  etl:
    type: process
    template:
      job_configuration: {command: '{{ command }}', env: '{{ env }}', working_dir: '{{ folder }}'}
      variables:
        type: object
        properties: {command: {type: string}, env: {type: object}, folder: {type: string, default: '\\{{ $HOME }}'}}
"""


async def test_a_base_job_template_is_set_kept_exported_and_taken_back(client: Client):
    assert told(await applied(client, TEMPLATE)) == ["create pool etl"]
    kept = await client.pools.template("etl")
    assert kept["variables"]["properties"]["folder"]["default"] == "{{ $HOME }}"
    assert told(await applied(client, TEMPLATE)) == []
    text = export(await read_state(client))
    assert told(await applied(client, text)) == []
    assert export(await read_state(client)) == text
    assert told(await applied(client, "pools: {etl: {}}")) == []
    changed = await applied(client, TEMPLATE.replace("folder: {type: string", "folder: {type: string, title: Folder"))
    assert [each.pointer for each in changed.pending[0].differences] == ["/template/variables/properties/folder/title"]
    assert told(await applied(client, "pools: {etl: {template: {}}}")) == ["update pool etl"]
    assert "template" not in export(await read_state(client))


async def test_a_template_that_cannot_work_changes_nothing(client: Client):
    with pytest.raises(ManifestFaults, match=r"sluice.yaml:5: /pools/etl/template/job_configuration/working_dir: "):
        await applied(client, TEMPLATE.replace("{{ folder }}", "{{ nowhere }}"))
    with pytest.raises(ManifestFaults, match=r"sluice.yaml:4: /pools/etl/template: function workers"):
        await applied(client, TEMPLATE.replace("type: process", "type: function"))
    assert await client.pools.list() == []


async def test_job_variables_that_the_template_refuses_are_told_where_they_stand(client: Client):
    text = TEMPLATE + "deployments:\n  - name: a\n    pool: etl\n    command: [x]\n    job_variables:\n"
    with pytest.raises(ManifestFaults) as refused:
        await applied(client, text + "      folder: /x\n      env: 5\n      colour: red\n")
    places = [(found.line, found.pointer) for found in refused.value.findings]
    assert places == [(15, "/deployments/0/job_variables/env"), (16, "/deployments/0/job_variables/colour")]
    schedule = "      folder: /x\n    schedules:\n      - {cron: '@daily', job_variables: {folder: 5}}\n"
    with pytest.raises(ManifestFaults, match="sluice.yaml:16: /deployments/0/schedules/0/job_variables/folder"):
        await applied(client, text + schedule)
    assert await client.pools.list() == []
    assert told(await applied(client, text + "      folder: /x\n")) == ["create pool etl", "create deployment a"]
    wider = (
        text.replace("properties: {", "properties: {colour: {type: string}, ") + "      folder: /x\n      colour: red\n"
    )
    wider = wider.replace("job_configuration: {", "job_configuration: {paint: '{{ colour }}', ")
    assert told(await applied(client, wider)) == ["update pool etl", "update deployment a"]
