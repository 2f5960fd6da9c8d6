"""Job variables of a file against the base job templates that will govern them, those of the file included."""

from collections.abc import Iterator

from ..client.checking import variable_faults
from ..client.templates import default_template
from ..errors import InvalidInput
from ..job_template import Template
from .places import Finding, path_of
from .planning import Plan
from .state import State


def variable_findings(plan: Plan, state: State) -> Iterator[Finding]:
    """What a worker would refuse. Variables that are still missing may come with a run."""
    templates: dict[str, Template | None] = {}
    for declared in plan.checked:
        pool = declared.document.pool
        if pool not in templates:
            templates[pool] = _template_of(pool, plan, state)
        template = templates[pool]
        if template:
            faults = variable_faults(declared.document, template)
            yield from (declared.finding(path_of(fault.pointer), fault.text) for fault in faults)


def _template_of(pool: str, plan: Plan, state: State) -> Template | None:
    """The template that the pool will have; None for function workers, and where its type is not installed."""
    wanted = plan.pools.get(pool) or state.pools[pool]
    if wanted.template:
        return Template(wanted.template)
    try:
        worker_type = wanted.type or "function"
        return None if worker_type == "function" else Template(default_template(worker_type))
    except InvalidInput:
        return None
