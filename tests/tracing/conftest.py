"""OpenTelemetry's own SDK, loaded only where a test asks for it: test_travel.py runs without it too."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from tests.support.spans import Spans


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> "Callable[[TracerProvider], None]":
    """Make a provider the process's for one test: the API lets it be set only once."""
    from opentelemetry import trace

    return lambda provider: monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)


@pytest.fixture
def spans(use: "Callable[[TracerProvider], None]") -> "Spans":
    """What is traced in this process."""
    from tests.support.spans import Spans

    found = Spans()
    use(found.provider)
    return found
