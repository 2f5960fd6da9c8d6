"""Without OpenTelemetry: all of test_travel.py in a process that cannot import it, and nothing imports it by itself."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).with_name("test_travel.py")
ROOT = TESTS.parents[2]
BLOCKED = "import sys; sys.modules['opentelemetry'] = None\n"


def python(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=280
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_context_travels_where_opentelemetry_is_not_installed():
    run = "import pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', sys.argv[1]]))"
    done = python(BLOCKED + run, str(TESTS))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def test_nothing_of_ours_imports_opentelemetry():
    """But for redis-py, which imports it where it is installed: nothing here loads the client."""
    code = "import sys, dispatcher.cli, dispatcher.log, dispatcher.running\nfrom dispatcher import tracing\n"
    code += "assert not tracing.is_on() and tracing.here('x') == 'x'; tracing.enter(None)\n"
    done = python(f"{code}print(*[name for name in sys.modules if name.startswith('opentelemetry')])")
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
