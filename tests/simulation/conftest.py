"""`pytest tests/simulation --seed N` plays one history."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="the one history of the simulation to play")
