"""A worker as a service of systemd."""

import re

from dispatcher.errors import InvalidInput

from .unit import RESTART_SECONDS, Unit

_PLAIN = re.compile(r"[A-Za-z0-9_./:=,@+-]+")


def systemd(unit: Unit) -> str:
    """Text of a `.service`. SIGTERM goes to the worker alone: its runs are its to end."""
    if not unit.address.startswith("/"):
        raise InvalidInput(f"--env-file {unit.address!r} is no path for systemd: give the whole one")
    folder = [f"WorkingDirectory={_specifiers(unit.folder)}"] if unit.folder else []
    lines = [
        "[Unit]",
        f"Description=Sluice worker of the pool {_specifiers(unit.pool)}",
        "Wants=network-online.target",
        "After=network-online.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=exec",
        f"User={_specifiers(unit.user or 'sluice')}",
        *folder,
        "# SLUICE_REDIS_URL and other settings; only root and the user may read it.",
        f"EnvironmentFile={_specifiers(unit.address)}",
        f"ExecStart={' '.join(_quoted(word) for word in unit.command)}",
        "# Also after exit code 75: a function could not be ended. After `sluice worker drain` it stays down.",
        "Restart=on-failure",
        f"RestartSec={RESTART_SECONDS}",
        "KillMode=mixed",
        f"TimeoutStopSec={unit.stop_seconds}",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def _specifiers(text: str) -> str:
    """A `%` begins a specifier."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """A word of a command line: beside specifiers, `$` begins a variable, and quotes have escapes."""
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{_specifiers(escaped)}"'
