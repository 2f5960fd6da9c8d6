"""What templates become: the cases that templates written for Prefect rely on, and what Sluice does otherwise."""

from copy import deepcopy
from typing import Any

import pytest

from dispatcher.job_template import InvalidVariables, Level, Rendered, merge, render

ANY = {"additionalProperties": True}
PEOPLE = {"people": {"superman": {"name": "Clark"}, "1": "one"}, "list": [{"name": "Ada"}, "Bob"]}


def template(configuration: Any, /, **properties: Any) -> dict[str, Any]:
    return {"job_configuration": configuration, "variables": {"type": "object", "properties": properties}}


def rendered(configuration: Any, run: dict[str, Any] | None = None, /, **defaults: Any) -> Any:
    """The configuration, with variables that have these defaults; any variable may be set."""
    made = template({"x": configuration}, **{name: {"default": value} for name, value in defaults.items()})
    for name in run or {}:
        made["variables"]["properties"].setdefault(name.partition(".")[0], {})
    return render(made, [Level("run", run or {})]).configuration.get("x", "(missing)")


def levels(deployment: dict[str, Any], run: dict[str, Any]) -> list[Level]:
    return [Level("deployment", deployment), Level("run", run)]


@pytest.mark.parametrize(
    ("configuration", "run", "wanted"),
    [
        ("Hello, {{name}}!", {"name": "Alice"}, "Hello, Alice!"),
        ({"n": "{{first}} {{last}}", "a": "{{age}}"}, {"first": "A", "last": "S", "age": 30}, {"n": "A S", "a": 30}),
        ("{{ a }}", {"a": {"k": [1, None]}}, {"k": [1, None]}),
        ("{{ a }}", {"a": False}, False),
        ("{{ a }}", {"a": None}, None),
        (" {{ a }}", {"a": 5}, " 5"),
        ("{{   a\n}}", {"a": 5}, 5),
        ("{{a}}{{a}}", {"a": 5}, "55"),
        ("${{ a }}", {"a": 5}, "$5"),
        ("{{{{ a }}}}", {"a": 1}, "{{1}}"),
        ("is {{ a }}", {"a": True}, "is True"),
        ("is {{ a }}", {"a": None}, "is None"),
        ("is {{ a }}", {"a": {"k": [1]}}, 'is {"k": [1]}'),
        ("{{ a | default }}", {"a": 1}, "{{ a | default }}"),
        (["{{ a }}", {"b": "{{ a }}"}, 123, 3.14, True, None], {"a": 1}, [1, {"b": 1}, 123, 3.14, True, None]),
        ({"{{ a }}": 1}, {"a": "b"}, {"{{ a }}": 1}),
        ("{{ a ?? 7 }}", {"a": 5}, 5),
        ("\\{{ a }}", {"a": 5}, "{{ a }}"),
    ],
)
def test_a_placeholder_is_filled_in(configuration: Any, run: dict[str, Any], wanted: Any):
    found = rendered(configuration, run)
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("configuration", "wanted"),
    [
        ("{{ no }}", "(missing)"),
        ({"a": "{{ no }}", "b": 1}, {"b": 1}),
        ({"a": {"b": "{{ no }}"}}, {"a": {}}),
        (["{{ no }}", 1], [1]),
        ("Bob {{ no }}", "Bob "),
        ("{{ no ?? 7 }}", 7),
        ('{{ no ?? "a }} b" }}', "a }} b"),
        ("{{ no ?? null }}", None),
        ("-{{ no ?? true }}-", "-True-"),
    ],
)
def test_what_is_missing_goes_unless_a_default_stands_beside_it(configuration: Any, wanted: Any):
    made = template({"x": configuration}, no={"type": "string"})
    assert render(made, []).configuration.get("x", "(missing)") == wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("people.superman.name", "Clark"),
        ("people.superman", {"name": "Clark"}),
        ("people.1", "one"),
        ("list[0].name", "Ada"),
        ("list.0.name", "Ada"),
        ("list[0]", {"name": "Ada"}),
        ("list[-1]", "Bob"),
        ("list[9]", "(missing)"),
        ("list.name", "(missing)"),
        ("people.superman.name.more", "(missing)"),
    ],
)
def test_a_path_leads_into_a_value(path: str, wanted: Any):
    assert rendered(f"{{{{ {path} }}}}", PEOPLE) == wanted


def test_placeholders_of_the_context_wait_for_it():
    made = template(
        {"name": "{{ ctx.flow.name }}-{{ v }}", "id": "{{ ctx.flow_run.id }}", "no": "{{ v2 }}"},
        v={"default": 1},
        v2={},
    )
    assert render(made, []).configuration == {"name": "{{ ctx.flow.name }}-1", "id": "{{ ctx.flow_run.id }}"}
    context = {"flow": {"name": "{{ v }}"}, "flow_run": {"id": "r1"}}
    assert render(made, [], context=context).configuration == {"name": "{{ v }}-1", "id": "r1"}


def test_a_null_default_is_none_and_a_null_of_a_run_is_a_value():
    made = template({"a": "{{ a }}"}, a={"type": "string", "default": None})
    assert render(made, []).configuration == {}
    assert render(made, [Level("run", {"a": None})]).configuration == {"a": None}


@pytest.mark.parametrize("own", [{"A": "1"}, "{{ env }}"])
@pytest.mark.parametrize(
    "given", [({"env": None}, {}), ({}, {"env": None}), ({"env": None, "env.B": "2"}, {"env": None})]
)
def test_an_environment_of_null_adds_nothing_and_takes_nothing(own: Any, given: tuple[dict[str, Any], dict[str, Any]]):
    made = template({"env": own}, env={"type": "object", "default": {"A": "1"}})
    assert render(made, levels(*given)).configuration == {"env": {"A": "1"}}


def test_variables_of_an_environment_are_text_and_null_stays():
    made = template({"env": "{{ env }}"}, env={"type": "object", "default": {"A": 1}})
    found = render(made, [Level("run", {"env": {"MY": 42, "B": True, "OTHER": None, "E": ""}})])
    assert found.configuration == {"env": {"A": "1", "MY": "42", "B": "True", "OTHER": None, "E": ""}}


def test_an_empty_command_is_none():
    made = template({"command": "{{ command }}"}, command={"type": "string"})
    assert render(made, [Level("run", {"command": ""})]).configuration == {"command": None}


@pytest.mark.parametrize("own", [{"A": "1", "B": "0"}, None])
def test_the_environment_is_joined_over_all_levels(own: dict[str, str] | None):
    made = template({"env": own or "{{ env }}"}, env={"type": "object", "default": {"A": "1", "B": "2"}})
    found = render(made, levels({"env": {"B": "3", "C": "3"}}, {"env": {"C": "4", "D": "4"}})).configuration
    assert found == {"env": {"A": "1", "B": "3", "C": "4", "D": "4"}}


def test_an_environment_that_the_template_writes_can_be_added_to_undeclared():
    made = template({"env": {"A": "1"}})
    assert render(made, [Level("run", {"env.B": "2"})]).configuration == {"env": {"A": "1", "B": "2"}}


@pytest.mark.parametrize(
    ("deployment", "run", "wanted"),
    [
        ({"env.EXTRA": "s3fs"}, {}, {"EXTRA": "s3fs"}),
        ({"env.A": "1", "env.B": "2"}, {}, {"A": "1", "B": "2"}),
        ({"env.FOO": "dotted", "env": {"FOO": "nested", "BAR": "too"}}, {}, {"FOO": "nested", "BAR": "too"}),
        ({"env": {"FOO": "deployment"}}, {"env.FOO": "run"}, {"FOO": "run"}),
        ({"env.FOO": "deployment"}, {"env": {"BAR": "run"}}, {"FOO": "deployment", "BAR": "run"}),
    ],
)
def test_the_later_level_wins_dotted_or_not(deployment: dict[str, Any], run: dict[str, Any], wanted: dict[str, Any]):
    made = template({"env": "{{ env }}"}, env={"type": "object"})
    assert render(made, levels(deployment, run)).configuration == {"env": wanted}


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        (None, [2, 3]),
        ("replace", [2, 3]),
        ("append", [1, 2, 2, 3]),
        ("union", [1, 2, 3]),
        ("deep", [2, 3]),
    ],
)
def test_lists_meet_as_their_variable_says(how: str | None, wanted: list[int]):
    schema: dict[str, Any] = {"type": "array", "default": [1, 2], **({"x-merge": how} if how else {})}
    found = render(template({"v": "{{ v }}"}, v=schema), [Level("run", {"v": [2, 3]})])
    assert found.configuration == {"v": wanted}


@pytest.mark.parametrize(("name", "kept"), [("labels", True), ("annotations", True), ("resources", False)])
def test_labels_and_annotations_are_joined_other_maps_are_replaced(name: str, kept: bool):
    made = template({"v": f"{{{{ {name} }}}}"}, **{name: {"type": "object", "default": {"pool": "gold"}}})
    found = render(made, [Level("deployment", {name: {"a": "b"}})]).configuration["v"]
    assert found == ({"pool": "gold", "a": "b"} if kept else {"a": "b"})
    patched = render(made, [Level("deployment", {f"{name}.a": "b"})]).configuration["v"]
    assert patched == {"pool": "gold", "a": "b"}


def test_nothing_that_is_given_is_changed_or_shared():
    made = template({"env": "{{ env }}", "l": [{"a": 1}]}, env={"type": "object", "default": {"A": {"x": "1"}}})
    first, run = deepcopy(made), {"env": {"B": ["2"]}, "env.C": "3"}
    found = render(made, [Level("run", run)]).configuration
    found["l"][0]["a"] = 2
    found["env"].clear()
    assert made == first
    assert run == {"env": {"B": ["2"]}, "env.C": "3"}
    assert render(made, []).configuration == {"env": {"A": '{"x": "1"}'}, "l": [{"a": 1}]}


def test_values_are_never_read_again():
    made = template({"v": "{{ a }} and {{ b }}", "w": "{{ a }}"}, a={"type": "string"}, b={"type": "string"})
    found = render(made, [Level("run", {"a": "{{ b }}", "b": "{{ prefect.blocks.secret.x }}"})])
    assert found.configuration == {"v": "{{ b }} and {{ prefect.blocks.secret.x }}", "w": "{{ b }}"}


def test_each_leaf_tells_which_level_set_it():
    made = template(
        {"image": "{{ image }}:{{ tag }}", "env": "{{ env }}", "fixed": True, "no": '{{ no ?? "x" }}'},
        image={"default": "etl"}, tag={}, env={"type": "object", "default": {"A": "1"}}, no={},
    )  # fmt: skip
    found = render(made, levels({"env": {"B": "2"}}, {"tag": "v2", "env.C": "3"}))
    assert found == Rendered(
        {"image": "etl:v2", "env": {"A": "1", "B": "2", "C": "3"}, "fixed": True, "no": "x"},
        {
            "/image": "pool, template, run", "/env/A": "pool", "/env/B": "deployment", "/env/C": "run",
            "/fixed": "template", "/no": "template",
        },
    )  # fmt: skip
    merged = merge(made, levels({"env": {"B": "2"}}, {"tag": "v2"}))
    assert merged.origins["/env/B"] == "deployment"
    assert merged.values == {"image": "etl", "tag": "v2", "env": {"A": "1", "B": "2"}}


def test_a_template_of_kubernetes_resolves_to_its_manifest():
    container = {"name": "run", "image": "{{ image }}", "env": "{{ env }}", "envFrom": [{"secretRef": {"name": "s"}}]}
    spec = {"template": {"spec": {"containers": [container], "serviceAccountName": "{{ account }}"}}}
    made = template(
        {"job_manifest": {"kind": "Job", "metadata": {"labels": "{{ labels }}"}, "spec": spec}, "env": "{{ env }}"},
        image={"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        env={"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        labels={"type": "object", "default": {"a": "b"}}, account={"type": "string", "default": None},
    )  # fmt: skip
    found = render(made, [Level("run", {"image": "etl:1", "account": None})]).configuration["job_manifest"]
    pod = {**container, "image": "etl:1"}
    del pod["env"]
    assert found["spec"] == {"template": {"spec": {"containers": [pod], "serviceAccountName": None}}}
    assert found["metadata"] == {"labels": {"a": "b"}}


def test_variables_that_do_not_fit_are_refused_all_at_once():
    made = template({"a": "{{ a }}"}, a={"type": "integer"}, b={"type": "string", "enum": ["x"]})
    with pytest.raises(InvalidVariables) as refused:
        render(made, levels({"a": "one", "c.d": 1}, {"b": "y"}))
    assert [fault.pointer for fault in refused.value.faults] == ["/c", "/a", "/b"]
    assert "(set by deployment)" in refused.value.faults[1].text
    assert "(set by run)" in refused.value.faults[2].text
