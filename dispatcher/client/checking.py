"""Whether a deployment can work: schedules, keys, parameters, and the type of its pool. All faults at once."""

from collections.abc import Iterator

from ..deployments import Deployment
from ..deployments.parameters import parameter_faults
from ..deployments.texts import check_text
from ..documents import Fault
from ..errors import InvalidInput
from ..models import WorkPool
from ..schedules import check


def deployment_faults(deployment: Deployment) -> list[Fault]:
    """What is wrong with it, wherever it is to go."""
    found = [*_schedule_faults(deployment), *_text_faults(deployment)]
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


def check_deployment(deployment: Deployment, pool: WorkPool) -> None:
    """Raise InvalidInput with all that is wrong."""
    found = deployment_faults(deployment)
    if pool.type == "function" and deployment.function is None:
        found.append(Fault("", f"pool {pool.name!r} executes functions: say `function`, or choose a process pool"))
    if pool.type != "function" and deployment.function is not None:
        found.append(Fault("/function", f"pool {pool.name!r} is of type {pool.type!r}: say command or entrypoint"))
    if found:
        said = "; ".join(f"{fault.pointer or 'all of it'}: {fault.text}" for fault in found)
        raise InvalidInput(f"deployment {deployment.name!r}: {said}")
