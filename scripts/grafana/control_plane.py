"""Control plane and Redis: the services, their clocks and loops, schedules and intake, and the server under it all."""

from .document import Json, dashboard, pool_variable
from .panels import (
    BAD,
    GOOD,
    NONE_IS_BAD,
    WARN,
    Panel,
    Query,
    graph,
    heatmap,
    row,
    signed,
    stat,
    table,
    timeline,
)

_OK = {"0": ("wrong", "red"), "1": ("right", "green")}
_OURS = 'and on (instance) sluice_build_info{component=~"dispatcher|scheduler"}'


def control_plane() -> Json:
    """Return the dashboard of services and Redis."""
    panels = [*_now(), *_services(), *_soundness(), *_load(), *_schedules(), *_redis(), *_scripts()]
    about = "Dispatchers and schedulers, what they find broken, schedules and intake, and the Redis server."
    return dashboard("sluice-control-plane", "Control plane and Redis", about, [pool_variable()], panels)


def _now() -> list[Panel]:
    words = {"0": "no", "1": "yes"}
    return [
        row("Now"),
        stat("Redis answers", "max(sluice_redis_up) or vector(0)", "To a dispatcher.", steps=NONE_IS_BAD, words=words),
        stat(
            "Redis is set right",
            "min(sluice_redis_config_ok) or vector(0)",
            "Eviction, persistence and version are as they should be.",
            steps=NONE_IS_BAD,
            words=words,
        ),
        stat(
            "Append-only file",
            "max(sluice_redis_aof_ok) or vector(0)",
            "It is written.",
            steps=NONE_IS_BAD,
            words=words,
        ),
        stat(
            "Memory",
            "max(sluice_redis_memory_bytes) / (max(sluice_redis_memory_limit_bytes) > 0) or vector(0)",
            "Share of the limit; nought when there is none. When it is full, publishing is refused.",
            unit="percentunit",
            steps=((None, GOOD), (0.75, WARN), (0.9, BAD)),
        ),
        stat(
            "Evicted keys, 24 h",
            "max(increase(sluice_redis_evicted_keys_total[24h])) or vector(0)",
            "Each may be a lost run: the policy must be noeviction.",
            steps=((None, GOOD), (0.5, BAD)),
        ),
        stat(
            "Open sweeps",
            'sum(max by (pool) (sluice_open_sweeps{pool=~"$pool"})) or vector(0)',
            "Edits of many buckets that are still being carried out.",
            steps=((None, GOOD), (1, WARN)),
        ),
    ]


def _services() -> list[Panel]:
    return [
        row("Services"),
        timeline(
            "Processes",
            "Every process that Prometheus can ask.",
            Query("max by (component, instance) (sluice_build_info)", "{{component}} {{instance}}"),
            {"1": ("up", "green")},
            width=12,
        ),
        table(
            "Versions",
            "Processes by version; two versions may work side by side while they are exchanged.",
            {"Processes": "count by (component, version, python) (sluice_build_info)"},
            {},
            width=12,
        ),
    ]


def _soundness() -> list[Panel]:
    return [
        signed(
            graph(
                "Clock skew",
                "A process's clock minus that of Redis.",
                Query("sluice_clock_skew_seconds", "{{instance}}"),
                unit="s",
                width=8,
            )
        ),
        graph(
            "Failed rounds and new connections, a second",
            "Rounds of service loops that failed, and connections to Redis that were made anew.",
            Query(
                "sum by (component) (rate(sluice_loop_errors_total[$__rate_interval])) or vector(0)",
                "failed {{component}}",
            ),
            Query(
                "sum by (component) (rate(sluice_redis_reconnects_total[$__rate_interval])) or vector(0)",
                "connected {{component}}",
            ),
            width=8,
        ),
        graph(
            "Broken invariants, an hour",
            "By the invariant; dispatcher/README.md has the table.",
            Query(
                'sum by (invariant) (increase(sluice_invariant_violations_total{pool=~"$pool"}[1h])) or vector(0)',
                "{{invariant}}",
            ),
            width=8,
        ),
    ]


def _load() -> list[Panel]:
    snapshots = "sum by (instance, le) (rate(sluice_snapshot_seconds_bucket[$__rate_interval]))"
    return [
        graph(
            "CPU",
            "Cores that each dispatcher and scheduler uses.",
            Query(f"rate(process_cpu_seconds_total[$__rate_interval]) {_OURS}", "{{job}} {{instance}}"),
            width=8,
        ),
        graph(
            "Memory",
            "Resident, of each dispatcher and scheduler.",
            Query(f"process_resident_memory_bytes {_OURS}", "{{job}} {{instance}}"),
            unit="bytes",
            width=8,
        ),
        graph(
            "Snapshot, p99",
            "How long a dispatcher takes to read the state of all pools for a scrape.",
            Query(
                f"histogram_quantile(0.99, {snapshots})",
                "{{instance}}",
            ),
            unit="s",
            width=8,
        ),
    ]


def _own(name: str, labels: str = "pool") -> str:
    """Return the rate of what every process counts for itself."""
    return f'sum by ({labels}) (rate({name}{{pool=~"$pool"}}[$__rate_interval]))'


def _schedules() -> list[Panel]:
    return [
        row("Schedules and intake"),
        heatmap(
            "Lateness of delayed runs",
            "From when a run was due to when it was queued.",
            _own("sluice_schedule_delay_seconds_bucket", "le"),
            width=8,
        ),
        graph(
            "Schedules and delays, runs a second",
            "Fired: published by a schedule. Promoted: due and queued. Missed: instants that have no run.",
            Query(f"{_own('sluice_schedules_fired_total')} or vector(0)", "{{pool}} fired"),
            Query(f"{_own('sluice_runs_promoted_total')} or vector(0)", "{{pool}} promoted"),
            Query(f"{_own('sluice_schedules_missed_total')} or vector(0)", "{{pool}} missed"),
            width=8,
        ),
        graph(
            "Intake, entries a second",
            "Entries of publish streams that became runs, and that were rejected.",
            Query(f"{_own('sluice_intake_accepted_total')} or vector(0)", "{{pool}} accepted"),
            Query(f"{_own('sluice_intake_rejected_total')} or vector(0)", "{{pool}} rejected"),
            width=8,
        ),
    ]


def _redis() -> list[Panel]:
    return [
        row("Redis"),
        timeline(
            "Configuration",
            "What a server for Sluice must be set to; docs/alerts.md has the remedies.",
            Query("min by (check) (sluice_redis_config_ok)", "{{check}}"),
            _OK,
            width=8,
        ),
        graph(
            "Memory",
            "In use, and the limit (nought: none).",
            Query("max(sluice_redis_memory_bytes)", "in use"),
            Query("max(sluice_redis_memory_limit_bytes)", "limit"),
            unit="bytes",
            width=8,
        ),
        graph(
            "Clients",
            "Connected, and waiting in blocking reads.",
            Query("max(sluice_redis_connected_clients)", "connected"),
            Query("max(sluice_redis_blocked_clients)", "blocked"),
            width=8,
        ),
    ]


def _scripts() -> list[Panel]:
    seconds = "sum(max by (command) (rate(sluice_redis_script_seconds_total[$__rate_interval])))"
    calls = "sum(max by (command) (rate(sluice_redis_scripts_total[$__rate_interval])))"
    return [
        graph(
            "Server time in scripts",
            "The share of Redis's one core that scripts take: near 1 it is the bottleneck.",
            Query(seconds, "scripts"),
            unit="percentunit",
            width=8,
        ),
        graph(
            "Time a script",
            "Mean server time of a script call.",
            Query(f"{seconds} / ({calls} > 0) or vector(0)", "mean"),
            unit="s",
            width=8,
        ),
        graph(
            "Commands a second",
            "All commands, and script calls.",
            Query("max(rate(sluice_redis_commands_total[$__rate_interval]))", "commands"),
            Query(calls, "scripts"),
            width=8,
        ),
    ]
