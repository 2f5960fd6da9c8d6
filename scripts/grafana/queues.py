"""Pool and queue: the same questions for the chosen pools and queues, line by line."""

from .document import Json, choice_variable, dashboard, pool_variable, queue_variable
from .panels import ANY_IS_BAD, Panel, Query, graph, heatmap, row, stat, table, timeline

_CHOSEN = '{pool=~"$pool", queue=~"$queue"}'
_NAME = "{{pool}}/{{queue}}"
_PAUSED = {"0": ("open", "green"), "1": ("paused", "orange")}


def queues() -> Json:
    """Return the dashboard of pools and their queues."""
    variables = [
        pool_variable(),
        queue_variable(),
        choice_variable("quantile", "Quantile", ("0.5", "0.95", "0.99"), "0.95"),
    ]
    panels = [*_now(), *_backlog(), *_flow(), *_latency(), *_objective(), *_limits()]
    about = "What waits, flows, starts late and is held back, by pool and queue."
    return dashboard("sluice-queues", "Pool and queue", about, variables, panels)


def _gauge(name: str, labels: str = "pool, queue") -> str:
    return f"max by ({labels}) ({name}{_CHOSEN})"


def _rate(name: str, labels: str = "pool, queue") -> str:
    return f"max by ({labels}) (rate({name}{_CHOSEN}[$__rate_interval]))"


def _quantile(name: str) -> str:
    return f"histogram_quantile($quantile, {_rate(f'{name}_bucket', 'pool, queue, le')})"


def _now() -> list[Panel]:
    return [
        row("Now"),
        stat(
            "Queued",
            f"sum({_gauge('sluice_queue_queued_runs')}) or vector(0)",
            "Runs that wait for a slot and a worker.",
        ),
        stat(
            "Oldest waiting",
            f"max({_gauge('sluice_queue_oldest_queued_age_seconds')}) or vector(0)",
            "Exact for queues without keys and labels; otherwise the oldest head of a sample of buckets.",
            unit="s",
        ),
        stat("Slots in use", f"sum({_gauge('sluice_queue_slots_used')}) or vector(0)", "Runs that were given a slot."),
        stat(
            "Admissible",
            'sum(max by (pool) (sluice_pool_admissible_runs{pool=~"$pool"})) or vector(0)',
            "Runs of the chosen pools that could start now had there been workers.",
        ),
        stat(
            "Suspended",
            'sum(max by (pool) (sluice_pool_runs{pool=~"$pool", state="suspended"})) or vector(0)',
            "Runs of the chosen pools that gave their slots back and wait.",
        ),
        stat(
            "Orphaned",
            'sum(max by (pool) (sluice_pool_runs{pool=~"$pool", state="orphaned"})) or vector(0)',
            "Runs of the chosen pools whose worker died and whose infrastructure waits for another one.",
            steps=ANY_IS_BAD,
        ),
    ]


def _backlog() -> list[Panel]:
    target = _gauge("sluice_queue_start_target_seconds")
    return [
        row("Backlog"),
        graph("Queued runs", "By queue.", Query(_gauge("sluice_queue_queued_runs"), _NAME), stacked=True, width=8),
        graph(
            "Oldest waiting run",
            "By queue.",
            Query(_gauge("sluice_queue_oldest_queued_age_seconds"), _NAME),
            unit="s",
            width=8,
        ),
        graph(
            "Oldest waiting run, in targets",
            "1 is the queue's start target; an alert fires above 3.",
            Query(f"{_gauge('sluice_queue_oldest_queued_age_seconds')} / ({target} > 0)", _NAME),
            width=8,
        ),
    ]


def _flow() -> list[Panel]:
    outcomes = _rate("sluice_runs_finished_total", "pool, queue, outcome")
    return [
        row("Flow, runs a second"),
        graph("Published", "By queue.", Query(_rate("sluice_runs_published_total"), _NAME), width=8),
        graph("Admitted", "By queue.", Query(_rate("sluice_runs_admitted_total"), _NAME), width=8),
        graph(
            "Ends by outcome",
            "Over the chosen queues.",
            Query(f"sum by (outcome) ({outcomes})", "{{outcome}}"),
            width=8,
        ),
        graph("Retried", "By queue.", Query(_rate("sluice_runs_retried_total"), _NAME), width=8),
        graph(
            "Reclaimed",
            "Taken back from dead workers, by queue.",
            Query(_rate("sluice_runs_reclaimed_total"), _NAME),
            width=8,
        ),
        graph(
            "Dead-lettered",
            "Set aside for somebody to look at, by queue.",
            Query(_rate("sluice_runs_dead_lettered_total"), _NAME),
            width=8,
        ),
    ]


def _latency() -> list[Panel]:
    waits = f"sum by (le) ({_rate('sluice_run_queue_seconds_bucket', 'pool, queue, le')})"
    lasts = f"sum by (le) ({_rate('sluice_run_duration_seconds_bucket', 'pool, queue, le')})"
    return [
        row("Waiting and duration"),
        heatmap("Time in queue", "From entering the backlog to being admitted.", waits),
        graph(
            "Time in queue, chosen quantile",
            "By queue.",
            Query(_quantile("sluice_run_queue_seconds"), _NAME),
            unit="s",
        ),
        heatmap("Duration", "From being admitted to the end.", lasts),
        graph(
            "Duration, chosen quantile", "By queue.", Query(_quantile("sluice_run_duration_seconds"), _NAME), unit="s"
        ),
    ]


def _objective() -> list[Panel]:
    burn = [
        Query(f"pool_queue:sluice_late_starts:ratio{window}{_CHOSEN} / 0.01", f"{_NAME} {window}")
        for window in ("5m", "1h", "6h")
    ]
    return [
        row("Objective: 99 % of runs start within their queue's target"),
        graph(
            "Started late",
            "The share of runs admitted later than the target, over an hour.",
            Query(f"pool_queue:sluice_late_starts:ratio1h{_CHOSEN}", _NAME),
            unit="percentunit",
        ),
        graph("Burn rate", "1 spends the budget exactly; alerts fire at 14.4 over an hour and at 6 over six.", *burn),
    ]


def _limits() -> list[Panel]:
    priority = _gauge("sluice_queue_info", "pool, queue, priority")
    slots = f"{_gauge('sluice_queue_slots_used')} / ({_gauge('sluice_queue_concurrency_limit')} > 0)"
    return [
        row("Limits"),
        graph(
            "Queue slots in use",
            "Queues without a limit are not drawn.",
            Query(slots, _NAME),
            unit="percentunit",
            most=1,
        ),
        timeline(
            "Paused", "Queues that were told to wait.", Query(_gauge("sluice_queue_paused"), _NAME), _PAUSED, width=12
        ),
        table(
            "Queues",
            "What they are set to. Priority 1 is served first; a queue without a limit has no cell.",
            {
                "Start target": (
                    f"{_gauge('sluice_queue_start_target_seconds')} * on (pool, queue) group_left (priority) {priority}"
                ),
                "Limit": _gauge("sluice_queue_concurrency_limit"),
                "Slots in use": _gauge("sluice_queue_slots_used"),
            },
            {"Start target": "s"},
            width=12,
        ),
        timeline(
            "Paused pools",
            "Pools that were told to wait.",
            Query('max by (pool) (sluice_pool_paused{pool=~"$pool"})', "{{pool}}"),
            _PAUSED,
            width=12,
        ),
    ]
