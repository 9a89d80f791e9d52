"""What mutmut's wrappers do to a test they do not know of: they take time, and they end processes that it starts."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from matrix.checkout import CHECKOUT
from tests import pace
from tests.conftest import hide_mutant
from tests.pace import within_cpu_s

ASKED = ("matrix", "reports", "suites/checks", "property")  # pyproject.toml: pytest_add_cli_args_test_selection


def test_processes_of_tests_do_not_know_of_mutmut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUTANT_UNDER_TEST", "stats")
    hide_mutant()
    assert "MUTANT_UNDER_TEST" not in os.environ


def test_a_limit_is_held_and_is_wider_under_wrappers(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        with within_cpu_s(0.0005):
            sum(range(200_000))

    with pytest.raises(AssertionError, match="took 0"):
        work()
    monkeypatch.setattr(pace, "BY_MUTMUT", True)
    monkeypatch.setattr(pace, "WRAPPED", 10**6)
    work()


def test_no_test_that_mutmut_asks_keeps_a_clock_of_its_own() -> None:
    """Its limit would be of the code without wrappers, and `make mutants` would end before its first change."""
    own = (file for room in ASKED for file in sorted((CHECKOUT / "tests" / room).rglob("*.py")))
    clocked = [
        f.relative_to(CHECKOUT) for f in own if re.search(r"process_time\(|perf_counter\(", f.read_text("utf-8"))
    ]
    assert clocked == list[Path]()
