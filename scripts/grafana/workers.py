"""Workers: how many, how full, how alive, and what their processes use."""

from .document import Json, dashboard, pool_variable
from .panels import ANY_IS_BAD, NONE_IS_BAD, Panel, Query, graph, row, stat, timeline

_READY = {"0": ("not ready", "red"), "1": ("ready", "green")}
_OURS = 'and on (instance) sluice_build_info{component="worker"}'


def workers() -> Json:
    """Return the dashboard of workers."""
    panels = [*_now(), *_slots(), *_life(), *_processes()]
    about = "How many workers there are and are wanted, how full and how alive they are, what their processes use."
    return dashboard("sluice-workers", "Workers", about, [pool_variable()], panels)


def _status(word: str) -> str:
    return f'sum(max by (pool) (sluice_workers{{status="{word}", pool=~"$pool"}})) or vector(0)'


def _now() -> list[Panel]:
    return [
        row("Now"),
        stat("Online", _status("online"), "Workers that hold a lease and take runs.", steps=NONE_IS_BAD),
        stat("Draining", _status("draining"), "Workers that end what they hold and take no more."),
        stat("Silent", _status("silent"), "Workers whose lease is over, not yet taken back.", steps=ANY_IS_BAD),
        stat(
            "Wanted",
            'sum(max by (pool) (sluice_pool_desired_workers{pool=~"$pool"})) or vector(0)',
            "What autoscaling asks for.",
        ),
        stat(
            "Not ready",
            "count(sluice_worker_ready == 0) or vector(0)",
            "Worker processes that trust no lease or whose infrastructure does not answer.",
            steps=ANY_IS_BAD,
        ),
        stat(
            "Infrastructure down",
            "count(sluice_infrastructure_up == 0) or vector(0)",
            "Worker processes that cannot reach what they start runs with, a Docker daemon for example.",
            steps=ANY_IS_BAD,
        ),
    ]


def _slots() -> list[Panel]:
    return [
        row("Slots"),
        graph(
            "Workers by status",
            "Over the chosen pools.",
            Query('sum by (status) (max by (pool, status) (sluice_workers{pool=~"$pool"}))', "{{status}}"),
            stacked=True,
            width=8,
        ),
        graph(
            "Wanted and online",
            "By pool.",
            Query('max by (pool) (sluice_pool_desired_workers{pool=~"$pool"})', "{{pool}} wanted"),
            Query('max by (pool) (sluice_workers{status="online", pool=~"$pool"})', "{{pool}} online"),
            width=8,
        ),
        graph(
            "Slots and slots in use",
            "By pool.",
            Query('max by (pool) (sluice_worker_slots{pool=~"$pool"})', "{{pool}} slots"),
            Query('max by (pool) (sluice_worker_slots_used{pool=~"$pool"})', "{{pool}} in use"),
            width=8,
        ),
    ]


def _life() -> list[Panel]:
    reclaimed = 'max by (pool, queue) (rate(sluice_runs_reclaimed_total{pool=~"$pool"}[$__rate_interval]))'
    return [
        row("Life"),
        timeline(
            "Ready",
            "Each worker process: it holds a lease that it trusts, and its infrastructure answers.",
            Query("min by (instance) (sluice_worker_ready)", "{{instance}}"),
            _READY,
        ),
        graph(
            "Oldest heartbeat",
            "Of the live workers of a pool; a lease is 15 s unless somebody set it.",
            Query('max by (pool) (sluice_worker_oldest_heartbeat_age_seconds{pool=~"$pool"})', "{{pool}}"),
            unit="s",
            width=8,
        ),
        graph(
            "Turns a second",
            "How often workers talk to Redis.",
            Query('sum by (pool) (rate(sluice_worker_turns_total{pool=~"$pool"}[$__rate_interval]))', "{{pool}}"),
            width=8,
        ),
        graph(
            "Lost runs and refused calls",
            "Runs a second taken back from dead workers; stale calls a second that were refused.",
            Query(f"sum by (pool) ({reclaimed})", "{{pool}} reclaimed"),
            Query(
                'sum by (op) (rate(sluice_fencing_rejections_total{pool=~"$pool"}[$__rate_interval])) or vector(0)',
                "fenced off {{op}}",
            ),
            width=8,
        ),
    ]


def _processes() -> list[Panel]:
    return [
        row("Processes"),
        graph(
            "CPU",
            "Cores that each worker process uses; children and containers are not in it.",
            Query(f"rate(process_cpu_seconds_total[$__rate_interval]) {_OURS}", "{{instance}}"),
            width=8,
        ),
        graph(
            "Memory",
            "Resident, of each worker process.",
            Query(f"process_resident_memory_bytes {_OURS}", "{{instance}}"),
            unit="bytes",
            width=8,
        ),
        graph(
            "Age",
            "How long ago each worker process was started.",
            Query(f"time() - process_start_time_seconds {_OURS}", "{{instance}}"),
            unit="s",
            width=8,
        ),
    ]
