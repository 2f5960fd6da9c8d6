"""Secrets are named, never told."""

from typing import Any

import pytest

from dispatcher.job_template import Level, check_template, check_variables, render

CANARY = "canary-{{ a }}-5f3"
REF = {"secretRef": "env:DB_PASSWORD"}


def template(**configuration: Any) -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "job_configuration": configuration,
        "variables": {
            "properties": {
                "a": {"type": "string", "maxLength": 3, "pattern": "^z"},
                "n": {"type": "integer"},
                "env": {"anyOf": [{"type": "object", "additionalProperties": text}, {"type": "null"}]},
            }
        },
        "secrets": {"allow": ["env:DB_*", "file:/run/secrets/*"]},
    }


def run(**given: Any) -> list[Level]:
    return [Level("run", given)]


def test_a_reference_stays_without_a_worker_and_is_filled_in_by_one():
    made = template(password="{{ a }}", env="{{ env }}", url="db://u:{{ a }}@h")
    given = run(a=REF, env={"P": {"secretRef": "file:/run/secrets/x"}})
    shown = render(made, given)
    assert shown.configuration["password"] == REF
    assert shown.configuration["env"] == {"P": {"secretRef": "file:/run/secrets/x"}}
    asked: list[str] = []

    def secrets(place: str) -> str:
        asked.append(place)
        return CANARY

    found = render(made, given, secrets=secrets)
    assert found.configuration == {"password": CANARY, "env": {"P": CANARY}, "url": f"db://u:{CANARY}@h"}
    assert found.origins == shown.origins
    assert CANARY not in str(found.origins)
    assert set(asked) == {"env:DB_PASSWORD", "file:/run/secrets/x"}


@pytest.mark.parametrize(
    "place",
    ["env:HOME", "env:db_x", "env:", "env:DB-X", "file:/etc/passwd", "file:/run/secrets/../x", "file:run/secrets/x",
     "file:/run/secrets//x", "file://run/secrets/x", "x", "env:DB_{{ a }}"],
)  # fmt: skip
def test_a_place_that_the_pool_does_not_allow_is_refused(place: str):
    (fault,) = check_variables(template(), run(env={"P": {"secretRef": place}}), required=True)
    assert fault.pointer == "/env/P"
    made = template(x={"y": {"secretRef": place}})
    assert [fault.pointer for fault in check_template(made)] == ["/job_configuration/x/y"]


def test_a_secret_is_text_and_its_length_is_nobodys_business():
    (fault,) = check_variables(template(), run(n=REF, a=REF), required=True)
    assert fault == ("/n", "takes no text, and a secret is text (set by run)")


def test_a_path_does_not_lead_into_a_reference():
    made = template(x="{{ a.secretRef }}")
    assert render(made, run(a=REF)).configuration == {}


def test_without_permission_there_are_no_secrets():
    made = template()
    del made["secrets"]
    assert check_variables(made, run(a=REF), required=True) != []
