"""Which commands there are: ours, and those that packages add by the entry point group `sluice.commands`.

Nothing here imports a command, or the library that parses them: `sluice --help` reads this table alone.
"""

from typing import NamedTuple

GROUP = "sluice.commands"


class Command(NamedTuple):
    """A command or a group of them: its name, where it is, what it is for."""

    name: str
    target: str
    help: str


OURS = (
    Command("up", "dispatcher.cli.up:up", "Run all of Sluice here, with a server of its own."),
    Command("status", "dispatcher.cli.status:status", "Show the server and its pools."),
    Command("run", "dispatcher.cli.run:app", "Publish, list, watch and cancel runs."),
    Command("pool", "dispatcher.cli.pool:app", "Create and change work pools, see who holds their slots."),
    Command("queue", "dispatcher.cli.queue:app", "Create and change work queues."),
    Command("deployment", "dispatcher.cli.deployment:app", "Create, change, move and run deployments."),
    Command("deploy", "dispatcher.cli.deploy:deploy", "Apply a sluice.yaml or prefect.yaml, planned and shown first."),
    Command("schedule", "dispatcher.cli.schedule:app", "See, pause, preview and backfill schedules."),
    Command("limit", "dispatcher.cli.limit:app", "Limit how many runs of a concurrency key run at once."),
    Command("profile", "dispatcher.cli.profile:app", "Keep settings under a name, and choose between them."),
    Command("metrics", "dispatcher.cli.scaling:app", "Print what scales workers by Sluice's metrics."),
    Command("health", "dispatcher.cli.health:health", "Ask a service's probes; exit code 1 when it is not well."),
    Command("doctor", "dispatcher.cli.doctor:doctor", "Check server, pools, workers and this installation."),
    Command("dead", "dispatcher.cli.dead:app", "Runs that were given up: see why, try again, forget."),
    Command("intake", "dispatcher.cli.intake:app", "See what was rejected of plain XADD; publishers with own streams."),
    Command("dispatcher", "dispatcher.cli.dispatcher:app", "Start a dispatcher."),
    Command("acl", "dispatcher.cli.acl:acl", "Users of the server, one for each role, with what each may do."),
    Command("version", "dispatcher.cli.version:show_version", "Print the version."),
)
_HELP = {
    "worker": "Start workers, list and drain them.",
    "scheduler": "Start a scheduler.",
}

TITLE = "Sluice dispatches runs through pools, queues and limits, on Redis."
_FOOT = """\
Options everywhere: --help, --debug (tracebacks). Lists take -o table|wide|json|jsonl|name and -q (names only).
The server is SLUICE_REDIS_URL or the active profile's, else the `sluice up` of this folder, else
redis://127.0.0.1:6379/0."""


def all_commands() -> list[Command]:
    """Every command, ours before those of other packages."""
    from importlib.metadata import entry_points  # a third of the time that `sluice health` may take

    known = {command.name for command in OURS}
    added = [
        Command(entry.name, entry.value, _HELP.get(entry.name, f"Added by {entry.dist.name if entry.dist else '?'}."))
        for entry in entry_points(group=GROUP)
        if entry.name not in known
    ]
    return [*OURS[:-3], *sorted({command.name: command for command in added}.values(), reverse=True), *OURS[-3:]]


def help_text() -> str:
    """The page that `sluice --help` prints."""
    lines = [f"  {command.name:<12}{command.help}" for command in all_commands()]
    return "\n".join(
        [TITLE, "", "usage: sluice COMMAND ...  (`sluice COMMAND --help` says more)", "", *lines, "", _FOOT]
    )
