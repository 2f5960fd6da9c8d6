"""Reading a prefect.yaml as it is: what maps is mapped, what does not is noted with its line."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..deployments import Deployment
from .document import Declared, Manifest
from .places import ManifestFaults, Path
from .prefect_pull import read_pull
from .prefect_reading import Reading, text_of, typed
from .prefect_schedules import read_schedules
from .sluice_yaml import doubled
from .validating import Place, validated
from .yaml_text import Tree

_NOT_BUILT = "is not executed: build and push images before `sluice deploy`"
_TOP = frozenset(("deployments", "pull", "definitions"))
_TOP_UNSUPPORTED = {
    "name": "says nothing here: deployments stand for themselves",
    "prefect-version": "says nothing here",
    "build": _NOT_BUILT,
    "push": _NOT_BUILT,
}
_KNOWN = frozenset(
    (
        "name", "entrypoint", "description", "version", "tags", "parameters", "schedule", "schedules",
        "work_pool", "concurrency_limit", "pull", "paused", "is_schedule_active",
    )
)  # fmt: skip
_UNSUPPORTED = {
    "flow_name": "says nothing here: the entrypoint is what is run",
    "build": _NOT_BUILT,
    "push": _NOT_BUILT,
    "triggers": "is not supported: publish a run, or give it a schedule",
    "sla": "is not supported",
    "enforce_parameter_schema": "is not supported: give `parameter_schema` in a sluice.yaml",
    "parameter_openapi_schema": "is not supported: give `parameter_schema` in a sluice.yaml",
    "version_type": "is not supported: each change of a deployment has a number",
    "path": "is not supported: a pull step `set_working_directory` says where",
    "work_queue_name": "is not supported here: it belongs to work_pool",
    "infra_overrides": "is not supported: they are work_pool.job_variables",
    "storage": "is not supported: a pull step says where the code is",
    "infrastructure": "is not supported: the work pool says how runs are started",
}
_STRATEGIES = {"ENQUEUE": "wait", "CANCEL_NEW": "skip"}
_DROPPABLE = ("parameters", "tags", "description", "version")


def is_prefect(tree: Tree) -> bool:
    """Whether a file speaks as prefect.yaml does, whatever its name is."""
    value = tree.value if isinstance(tree.value, dict) else {}
    rows = value.get("deployments")
    listed = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return "prefect-version" in value or any("work_pool" in row or "flow_name" in row for row in listed)


def read_prefect(tree: Tree, environment: Mapping[str, str]) -> Manifest:
    """What the file declares, and notes of what is not done. Raises ManifestFaults with all that is wrong."""
    reading = Reading(tree.lines, environment)
    given = reading.mapping(tree.value, ())
    said = reading.said(_without_rooms(given), (), _TOP, _TOP_UNSUPPORTED)
    pull = read_pull(said.get("pull"), ("pull",), reading)
    declared = []
    for index, row in enumerate(reading.items(said.get("deployments"), ("deployments",))):
        each = _Deployment(reading.mapping(row, ("deployments", index)), ("deployments", index), reading, pull)
        if found := each.declared():
            declared.append(found)
    declared = _apart(declared, reading)
    reading.found += doubled(declared)
    if reading.found:
        raise ManifestFaults(reading.found)
    return Manifest(tree.lines.file, tree.lines, {}, tuple(declared), tuple(sorted(set(reading.notes))))


def _without_rooms(given: dict[str, Any]) -> dict[str, Any]:
    """Top-level keys such as `.anchors`, `_defaults` and `x-shared` only hold anchors, as is the custom in YAML."""
    return {name: value for name, value in given.items() if not name.startswith((".", "_", "x-"))}


class _Deployment:
    """One deployment of the file on its way to ours."""

    def __init__(self, given: dict[str, Any], path: Path, reading: Reading, pull: tuple[list[Any], list[Path]]) -> None:
        self._path, self._reading, self._pull = path, reading, pull
        self._document: dict[str, Any] = {}
        self._sources: dict[Path, Path] = {}
        said = reading.said(given, path, _KNOWN, _UNSUPPORTED)
        for name in _DROPPABLE:
            if name in said:
                said[name] = reading.without_placeholders(said[name], (*path, name))
        variables = said["work_pool"].get("job_variables") if isinstance(said.get("work_pool"), dict) else None
        if variables:
            kept = reading.without_placeholders(variables, (*path, "work_pool", "job_variables"))
            said["work_pool"] = {**said["work_pool"], "job_variables": kept}
        self._said: dict[str, Any] = reading.filled(said, path, frozenset(("pull",)))

    def declared(self) -> Declared | None:
        """The deployment, or None with its faults told."""
        said = self._said
        for name in ("entrypoint", "description", "parameters", "tags"):
            if said.get(name) is not None:
                self._document[name] = said[name]
        if said.get("version") is not None:
            self._document["version"] = text_of(said["version"])
        self._name()
        self._work_pool()
        self._concurrency()
        self._paused()
        schedules, sources = read_schedules(said, self._path, self._reading)
        self._document["schedules"] = schedules
        self._sources |= sources
        self._steps()
        if "entrypoint" not in self._document:
            self._reading.fault((*self._path, "entrypoint"), "is missing: the file and function, `flows.py:etl`")
            return None
        place = Place(self._reading.lines, self._path, self._sources, {})
        document = validated(Deployment, self._document, place, self._reading.found)
        return Declared(document, place.lines, self._path, self._sources) if document else None

    def _name(self) -> None:
        """A name without `/`."""
        name = text_of(self._said.get("name"))
        if name is not None:
            self._document["name"] = name.replace("/", ".") if isinstance(name, str) else name

    def _work_pool(self) -> None:
        path = (*self._path, "work_pool")
        known = {"name": "pool", "work_queue_name": "queue", "job_variables": "job_variables"}
        given = self._reading.mapping(self._said.get("work_pool"), path)
        for name, value in self._reading.said(given, path, frozenset(known), {}).items():
            self._document[known[name]] = value
            self._sources[known[name],] = ("work_pool", name)
        if not given.get("name"):
            self._reading.note(path, "names no pool: the pool `default` is taken")

    def _concurrency(self) -> None:
        path = (*self._path, "concurrency_limit")
        given = typed(self._said.get("concurrency_limit"))
        if given is None:
            return
        self._sources["concurrency",] = ("concurrency_limit",)
        if not isinstance(given, dict):
            self._document["concurrency"] = {"limit": given}
            self._sources["concurrency", "limit"] = ("concurrency_limit",)
            return
        grace = {"grace_period_seconds": "is not supported: a run holds its slot as long as its worker's lease"}
        said = self._reading.said(given, path, frozenset(("limit", "collision_strategy")), grace)
        strategy = said.pop("collision_strategy", "ENQUEUE")
        if not isinstance(strategy, str) or strategy not in _STRATEGIES:
            self._reading.fault((*path, "collision_strategy"), f"{strategy!r} is none of {', '.join(_STRATEGIES)}")
        found = {name: typed(value) for name, value in said.items()}
        self._document["concurrency"] = found | {"when_full": _STRATEGIES.get(str(strategy), "wait")}

    def _paused(self) -> None:
        active = typed(self._said.get("is_schedule_active"))
        if isinstance(active, bool):
            self._document["paused"] = not active
            self._sources["paused",] = ("is_schedule_active",)
        if self._said.get("paused") is not None:
            self._document["paused"] = typed(self._said["paused"])

    def _steps(self) -> None:
        """Its own steps, also when they are an empty list; else those of the file."""
        steps, places = self._pull
        own = self._said.get("pull") is not None
        if own:
            steps, places = read_pull(self._said["pull"], (*self._path, "pull"), self._reading)
            places = [place[len(self._path) :] for place in places]
            self._sources |= {("pull", index): place for index, place in enumerate(places)}
        self._document["pull"] = steps


def _apart(declared: list[Declared], reading: Reading) -> list[Declared]:
    """In Prefect a name belongs to a flow; where flows share one, the flow's name is put before it."""
    counts = Counter(each.document.name for each in declared)
    found = []
    for each in declared:
        name = each.document.name
        if counts[name] > 1:
            name = f"{_flow_name(each)}.{name}"
            reading.note((*each.path, "name"), f"{each.document.name!r} is the name of several: this one is {name!r}")
        changed = each.document.model_copy(update={"name": name})
        found.append(Declared(changed, each.lines, each.path, each.sources))
    return found


def _flow_name(declared: Declared) -> str:
    """The flow's name: what the entrypoint ends with, as Prefect writes it."""
    function = re.split(r"[:.]", declared.document.entrypoint or "")[-1]
    return function.replace("_", "-")
