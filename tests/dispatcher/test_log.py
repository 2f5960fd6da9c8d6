"""Logs: form, levels, secrets, control characters."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from dispatcher import log as log_module
from dispatcher.log import configure_logging, get_logger


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    before = (log_module._Configuration.level, log_module._Configuration.style, log_module._Configuration.stream)
    log_module._Configuration.level = None
    structlog.reset_defaults()
    yield
    log_module._Configuration.level, log_module._Configuration.style, log_module._Configuration.stream = before
    structlog.reset_defaults()


@pytest.mark.fault(51)
def test_json_lines_carry_event_component_level_and_utc_time() -> None:
    stream = io.StringIO()
    configure_logging("info", "auto", stream)
    get_logger("worker").info("run.admitted", run_id="ab", count=3)
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "run.admitted", "component": "worker", "level": "info", "run_id": "ab", "count": 3}


def test_lower_levels_are_left_out() -> None:
    stream = io.StringIO()
    configure_logging("warning", "json", stream)
    get_logger("x").info("run.admitted")
    get_logger("x").warning("lease.lost")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["lease.lost"]


def test_a_terminal_gets_text() -> None:
    stream = Terminal()
    configure_logging("info", "auto", stream)
    get_logger("x").info("run.admitted", queue="fast")
    assert "run.admitted" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


@pytest.mark.fault(51)
def test_text_cannot_drive_the_terminal() -> None:
    stream = io.StringIO()
    configure_logging("info", "console", stream)
    get_logger("x").info("run.admitted", name="a\x1b[2Jb\r\nfake \u202eline", deep={"k": "\x1b]0;t\x07"})
    text = stream.getvalue()
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\u202e" not in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("style", ["json", "console"])
def test_secrets_are_hidden_and_claim_tokens_are_not(style: str) -> None:
    stream = io.StringIO()
    configure_logging("info", style, stream)  # type: ignore[arg-type]
    get_logger("x").info(
        "store.opened",
        password="hunter2",
        api_key="hunter2",
        token=17,
        claim_token=18,
        headers={"Authorization": "Bearer hunter2", "list": [{"secret": "hunter2"}]},
        url="redis://me:hunter2@host:6379/0",
        urls=("unix://a", "rediss://:hunter2@host"),
        odd=ValueError("redis://me:hunter2@host"),
    )
    text = stream.getvalue()
    assert "hunter2" not in text
    assert "17" in text
    assert "18" in text
    assert "redis://me:***@host:6379/0" in text


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_is_whole_and_without_passwords(style: str) -> None:
    stream = io.StringIO()
    configure_logging("info", style, stream)  # type: ignore[arg-type]
    try:
        raise ConnectionError("redis://me:hunter2@host refused")  # noqa: TRY301
    except ConnectionError:
        get_logger("x").exception("loop.failed")
    text = stream.getvalue()
    assert "ConnectionError" in text
    assert "test_log.py" in text
    assert "hunter2" not in text


def test_an_unserialisable_value_is_shown_as_text() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    endless: list[object] = []
    endless.append(endless)
    get_logger("x").info("odd.value", thing=object(), data=b"\xff", names={"a"}, endless=endless)
    assert json.loads(stream.getvalue())["names"] == ["a"]


def test_an_unconfigured_library_is_quiet_but_for_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    log = get_logger("client")
    log.info("run.published")
    log.warning("connection.lost")
    out, err = capsys.readouterr()
    assert out == ""
    assert "run.published" not in err
    assert "connection.lost" in err


def test_an_application_keeps_its_own_structlog_settings() -> None:
    with structlog.testing.capture_logs() as seen:
        structlog.configure()
        get_logger("client").info("run.published", run_id="ab")
    assert seen == [{"event": "run.published", "log_level": "info", "component": "client", "run_id": "ab"}]


def test_structlog_is_loaded_late() -> None:
    code = (
        "import sys; from dispatcher.log import configure_logging, get_logger\n"
        "configure_logging('warning'); get_logger('x').info('run.admitted'); sys.exit('structlog' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_later_configuration_counts_for_earlier_loggers() -> None:
    log = get_logger("x")
    stream = io.StringIO()
    configure_logging("debug", "json", stream)
    log.debug("now.seen")
    assert "now.seen" in stream.getvalue()
