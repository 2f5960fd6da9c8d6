"""Whether a deployment can work: schedules, keys, parameters, and the type of its pool. All faults at once."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..deployments import Deployment
from ..deployments.parameters import parameter_faults
from ..deployments.pull_steps import step_faults
from ..deployments.texts import check_text
from ..documents import Fault, told
from ..errors import InvalidInput
from ..job_template import InvalidVariables, Level, Template
from ..models import WorkPool
from ..schedules import check


def deployment_faults(deployment: Deployment) -> list[Fault]:
    """What is wrong with it, wherever it is to go."""
    found = [*_schedule_faults(deployment), *_text_faults(deployment), *step_faults(deployment.pull)]
    try:
        found += parameter_faults(deployment.parameter_schema, deployment.parameters, whole=False)
    except InvalidInput as error:
        found.append(Fault("/parameter_schema", str(error)))
    return found


def _schedule_faults(deployment: Deployment) -> Iterator[Fault]:
    for index, schedule in enumerate(deployment.schedules):
        try:
            check(schedule)
        except InvalidInput as error:
            yield Fault(f"/schedules/{index}", str(error))
        else:
            given = {**deployment.parameters, **schedule.parameters}
            try:
                found = parameter_faults(deployment.parameter_schema, given, whole=True)
            except InvalidInput:  # told once, above
                return
            yield from (Fault(f"/schedules/{index}{fault.pointer}", fault.text) for fault in found)


def _text_faults(deployment: Deployment) -> Iterator[Fault]:
    texts = [(f"/keys/{index}", "the key", key) for index, key in enumerate(deployment.keys)]
    if deployment.cache:
        texts.append(("/cache/key", "the cache key", deployment.cache.key))
    for pointer, what, text in texts:
        try:
            check_text(what, text)
        except InvalidInput as error:
            yield Fault(pointer, str(error))


def variable_faults(deployment: Deployment, template: Template) -> Iterator[Fault]:
    """Job variables that do not fit the pool's template; what is missing may come with a run."""
    own = Level("deployment", deployment.job_variables)
    for fault in template.check([own], required=False):
        yield Fault("/job_variables" + fault.pointer, fault.text)
    for index, schedule in enumerate(deployment.schedules):
        if schedule.job_variables:
            for fault in template.check([own, Level("run", schedule.job_variables)], required=False):
                yield Fault(f"/schedules/{index}/job_variables{fault.pointer}", fault.text)


def check_run(template: Template, deployment: Deployment, variables: Mapping[str, Any] | None) -> None:
    """Raise InvalidVariables when a run's job variables do not fit, or lack one."""
    levels = [Level("deployment", deployment.job_variables), Level("run", variables or {})]
    if found := template.check(levels):
        raise InvalidVariables(found)


def check_deployment(deployment: Deployment, pool: WorkPool, template: Template | None = None) -> None:
    """Raise InvalidInput with all that is wrong; without a template, job variables are not looked at."""
    found = deployment_faults(deployment)
    if template is not None:
        found += variable_faults(deployment, template)
    if pool.type == "function" and deployment.function is None:
        found.append(Fault("", f"pool {pool.name!r} executes functions: say `function`, or choose a process pool"))
    if pool.type == "function" and deployment.pull:
        found.append(
            Fault("/pull", f"pool {pool.name!r} executes functions, which its workers have: nothing is cloned")
        )
    if pool.type != "function" and deployment.function is not None:
        found.append(Fault("/function", f"pool {pool.name!r} is of type {pool.type!r}: say command or entrypoint"))
    if found:
        raise InvalidInput(f"deployment {deployment.name!r}: {told(found)}")
