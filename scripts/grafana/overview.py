"""Overview: is it well, does work flow, does it wait, is there room, what fails."""

from .document import Json, dashboard, pool_variable
from .panels import ANY_IS_BAD, BAD, GOOD, NONE_IS_BAD, WARN, Panel, Query, graph, heatmap, row, stat, table

_SHARE = ((None, GOOD), (0.01, WARN), (0.05, BAD))
_BY_QUEUE = "by (pool, queue)"


def overview() -> Json:
    """Return the dashboard that one looks at first."""
    panels = [*_health(), *_flow(), *_latency(), *_room(), *_failures()]
    about = "Whether Sluice is well, in one screen: health, flow, waiting, room and failures of all pools."
    return dashboard("sluice-overview", "Overview", about, [pool_variable()], panels)


def _health() -> list[Panel]:
    up = {"0": "down", "1": "up"}
    return [
        row("Health"),
        stat(
            "Redis",
            "max(sluice_redis_up) or vector(0)",
            "Whether a dispatcher reaches Redis.",
            steps=NONE_IS_BAD,
            words=up,
        ),
        stat("Dispatchers", _components("dispatcher"), "Dispatchers that answer Prometheus.", steps=NONE_IS_BAD),
        stat("Schedulers", _components("scheduler"), "Schedulers that answer Prometheus.", steps=NONE_IS_BAD),
        stat(
            "Workers online",
            'sum(max by (pool) (sluice_workers{status="online", pool=~"$pool"})) or vector(0)',
            "Workers that hold a lease and take runs.",
            steps=NONE_IS_BAD,
        ),
        stat(
            "Alerts",
            'count(ALERTS{alertname=~"Sluice.+", alertstate="firing", severity!="info"}) or vector(0)',
            "Alerts that fire now; docs/alerts.md says what each means.",
            steps=ANY_IS_BAD,
        ),
        stat(
            "Broken invariants, 24 h",
            'sum(increase(sluice_invariant_violations_total{pool=~"$pool"}[24h])) or vector(0)',
            "What the audit found broken. Anything but nought is a fault of Sluice or of the data.",
            steps=((None, GOOD), (0.5, BAD)),
        ),
        *_numbers(),
    ]


def _numbers() -> list[Panel]:
    finished = 'increase(sluice_runs_finished_total{pool=~"$pool", outcome=~"%s"}[1h])'
    failed, ended = finished % "failed|crashed", finished % "completed|failed|crashed"
    in_time, starts = (f'increase({name}{{pool=~"$pool"}}[1h])' for name in _STARTS)
    late = f"1 - {_total(in_time, 'pool, queue')} / ({_total(starts, 'pool, queue')} > 0) or vector(0)"
    states = 'sum(max by (pool) (sluice_pool_runs{pool=~"$pool", state="%s"})) or vector(0)'
    return [
        stat("Queued", states % "queued", "Runs that wait for a slot and a worker."),
        stat(
            "Oldest waiting",
            'max(sluice_queue_oldest_queued_age_seconds{pool=~"$pool"}) or vector(0)',
            "How long the oldest queued run has waited.",
            unit="s",
        ),
        stat("Held", states % "held", "Runs that workers hold: pending, running, cancelling."),
        stat(
            "Failed, 1 h",
            f"{_total(failed, _OUTCOME)} / ({_total(ended, _OUTCOME)} > 0) or vector(0)",
            "Failed and crashed runs, of those that ended by themselves.",
            unit="percentunit",
            steps=_SHARE,
        ),
        stat(
            "Started late, 1 h",
            late,
            "Runs admitted later than their queue's target.",
            unit="percentunit",
            steps=_SHARE,
        ),
        stat(
            "Dead letters", states % "dead", "Runs set aside for somebody to look at.", steps=((None, GOOD), (1, WARN))
        ),
    ]


_OUTCOME = "pool, queue, outcome"
_STARTS = ("sluice_run_starts_in_time_total", "sluice_run_starts_total")


def _total(expr: str, labels: str) -> str:
    return f"sum(max by ({labels}) ({expr}))"


def _components(name: str) -> str:
    return f'count(sluice_build_info{{component="{name}"}}) or vector(0)'


def _rate(name: str, labels: str = "pool, queue", match: str = "") -> str:
    return f'max by ({labels}) (rate({name}{{pool=~"$pool"{match}}}[$__rate_interval]))'


def _flow() -> list[Panel]:
    return [
        row("Flow"),
        graph(
            "Runs a second",
            "What comes in, what starts, what ends. Admitted below published means that a backlog grows.",
            Query(f"sum({_rate('sluice_runs_published_total')})", "published"),
            Query(f"sum({_rate('sluice_runs_admitted_total')})", "admitted"),
            Query(f"sum({_rate('sluice_runs_finished_total', _OUTCOME)})", "finished"),
        ),
        graph(
            "Runs by state",
            "Where the runs that are not over are.",
            Query(
                'sum by (state) (max by (pool, state) (sluice_pool_runs{pool=~"$pool", state!="dead"}))', "{{state}}"
            ),
            stacked=True,
        ),
    ]


def _latency() -> list[Panel]:
    buckets = _rate("sluice_run_queue_seconds_bucket", "pool, queue, le")
    delays = 'sum by (pool, le) (rate(sluice_schedule_delay_seconds_bucket{pool=~"$pool"}[$__rate_interval]))'
    quantiles = [
        Query(f"histogram_quantile({quantile}, sum by (le) ({buckets}))", name)
        for quantile, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    ]
    return [
        row("Waiting"),
        heatmap("Time in queue", "From entering the backlog to being admitted.", f"sum by (le) ({buckets})", width=8),
        graph("Time in queue, quantiles", "Over all chosen pools.", *quantiles, unit="s", width=8),
        graph(
            "Lateness of delayed runs, p99",
            "From when a run was due to when it was queued.",
            Query(f"histogram_quantile(0.99, {delays})", "{{pool}}"),
            unit="s",
            width=8,
        ),
    ]


def _room() -> list[Panel]:
    return [
        row("Room"),
        graph(
            "Pool slots in use",
            "Against the pool's limit; a pool without a limit is not drawn.",
            Query(
                'max by (pool) (sluice_pool_slots_used{pool=~"$pool"})'
                ' / (max by (pool) (sluice_pool_concurrency_limit{pool=~"$pool"}) > 0)',
                "{{pool}}",
            ),
            unit="percentunit",
            width=8,
            most=1,
        ),
        graph(
            "Worker slots in use",
            "Against what all workers of the pool can hold.",
            Query(
                'max by (pool) (sluice_worker_slots_used{pool=~"$pool"})'
                ' / (max by (pool) (sluice_worker_slots{pool=~"$pool"}) > 0)',
                "{{pool}}",
            ),
            unit="percentunit",
            width=8,
            most=1,
        ),
        graph(
            "Workers wanted and online",
            "What autoscaling asks for, and what there is.",
            Query('max by (pool) (sluice_pool_desired_workers{pool=~"$pool"})', "{{pool}} wanted"),
            Query('max by (pool) (sluice_workers{status="online", pool=~"$pool"})', "{{pool}} online"),
            width=8,
        ),
    ]


def _failures() -> list[Panel]:
    return [
        row("Failures"),
        graph(
            "Ends by outcome",
            "Runs a second.",
            Query(f"sum by (outcome) ({_rate('sluice_runs_finished_total', _OUTCOME)})", "{{outcome}}"),
            stacked=True,
        ),
        graph(
            "Retries, losses, refusals",
            "Runs a second retried, taken back from dead workers, set aside; and stale calls that were refused.",
            Query(f"sum({_rate('sluice_runs_retried_total')})", "retried"),
            Query(f"sum({_rate('sluice_runs_reclaimed_total')})", "reclaimed"),
            Query(f"sum({_rate('sluice_runs_dead_lettered_total')})", "dead-lettered"),
            Query(
                'sum(rate(sluice_fencing_rejections_total{pool=~"$pool"}[$__rate_interval])) or vector(0)', "fenced off"
            ),
        ),
        table(
            "Queues",
            "Every queue of the chosen pools, now.",
            {
                "Queued": f'max {_BY_QUEUE} (sluice_queue_queued_runs{{pool=~"$pool"}})',
                "Oldest": f'max {_BY_QUEUE} (sluice_queue_oldest_queued_age_seconds{{pool=~"$pool"}})',
                "Slots": f'max {_BY_QUEUE} (sluice_queue_slots_used{{pool=~"$pool"}})',
                "Admitted a second": f'max {_BY_QUEUE} (rate(sluice_runs_admitted_total{{pool=~"$pool"}}[5m]))',
                "Failed, 1 h": (
                    f"sum {_BY_QUEUE} (max by ({_OUTCOME}) "
                    '(increase(sluice_runs_finished_total{pool=~"$pool", outcome=~"failed|crashed"}[1h])))'
                ),
            },
            {"Oldest": "s", "Admitted a second": "ops"},
        ),
    ]
