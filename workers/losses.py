"""What a worker had from Redis and Redis knows no more: its data was lost, or somebody removed it. It is said aloud."""

from collections.abc import Iterable

from dispatcher.errors import SluiceError
from dispatcher.log import get_logger
from dispatcher.metrics import STATE_LOST
from dispatcher.store import Store

SHOWN = 20
_log = get_logger("worker")


async def tell_lost_runs(store: Store, pool: str, worker: str, held: Iterable[str]) -> list[str]:
    """Tell of those of these runs, held by a worker that is gone, that have no record any more; which they are."""
    wanted = list(held)
    try:
        known = await store.runs.are_known(pool, wanted)
    except SluiceError as error:
        if wanted:
            _log.warning("worker.unsure", worker=worker, runs=wanted[:SHOWN], error=str(error))
        return []
    lost = [run_id for run_id, is_known in zip(wanted, known, strict=True) if not is_known]
    if lost:
        STATE_LOST.labels(pool=pool).inc(len(lost))
        _log.error(
            "state.lost", pool=pool, worker=worker, runs=len(lost), run_ids=lost[:SHOWN],
            next="Redis lost data: publish again what is missing, with the same run ids",
        )  # fmt: skip
    return lost


def tell_lost_pool(pool: str, name: str) -> None:
    """Tell that the pool of a worker that had joined it is gone."""
    STATE_LOST.labels(pool=pool).inc()
    _log.error(
        "state.lost", pool=pool, worker=name,
        next="Redis lost data, or the pool was deleted: create it again with its limits, or end this worker",
    )  # fmt: skip
