"""A worker as a program of supervisord."""

import shlex

from .unit import Unit

_STARTS = 1000
"""In a row that fail at once, with growing pauses: the server may be away for a while."""


def supervisord(unit: Unit) -> str:
    """A section for a file that supervisord includes. It expands what its own environment has."""
    optional = {"directory": unit.folder, "user": unit.user}
    lines = [
        "; SLUICE_REDIS_URL is in the environment of supervisord itself.",
        f"[program:{unit.name}]",
        f"command={' '.join(_quoted(word) for word in unit.command)}",
        'environment=SLUICE_REDIS_URL="%(ENV_SLUICE_REDIS_URL)s"',
        *(f"{name}={_expansions(value)}" for name, value in optional.items() if value),
        "autostart=true",
        "; Also after exit code 75: a function could not be ended. After a drain it stays down.",
        "autorestart=unexpected",
        "exitcodes=0",
        f"startretries={_STARTS}",
        "stopsignal=TERM",
        f"stopwaitsecs={unit.stop_seconds}",
        "stopasgroup=false",
        "killasgroup=true",
        "redirect_stderr=true",
    ]
    return "\n".join(lines) + "\n"


def _expansions(text: str) -> str:
    """A `%` begins an expansion."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """As a shell reads it; a blank before `;` or `#` would begin a comment, inside quotes too, so they are parted."""
    quoted = shlex.quote(word)
    for mark in ";#":
        quoted = quoted.replace(f" {mark}", f" ''{mark}")
    return _expansions(quoted)
