"""What every suite may ask for besides the engine: the checkpoint's question bank and how deep to go."""

from __future__ import annotations

import pytest

from fixtures.banks import bank_for
from fixtures.banks.bank import Bank
from matrix.model import Cell
from suites.depth import DEPTHS, Depth

MARKS = {
    "boot": "the engine answers at all",
    "coherence": "what it says makes sense",
    "needle": "long contexts are really read",
    "tool_use": "tool calls are made, copied and streamed right",
    "throughput": "tokens per second and latencies",
    "proof": "a requested feature is really active",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("matrix")
    group.addoption(
        "--depth", choices=sorted(DEPTHS), default="quick", help="how many items and lengths each suite asks"
    )


def pytest_configure(config: pytest.Config) -> None:
    for name, what in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {what}")


@pytest.fixture(scope="session")
def depth(request: pytest.FixtureRequest) -> Depth:
    return DEPTHS[request.config.option.depth]


@pytest.fixture
def bank(cell: Cell) -> Bank:
    """The first bank of the checkpoint's YAML; the canary understands only its own."""
    return bank_for(cell.checkpoint.banks[0])
