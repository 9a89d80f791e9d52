"""One wrong boot of five is wrong: counted, bounded exactly and never averaged away."""

from __future__ import annotations

import pytest

from reports.evidence.finding import Finding
from suites.checks.boots import CheckedBoot, check_boots


def boot(number: int, ok: bool = True, error: str = "") -> CheckedBoot:
    found = Finding(check="boots.right", ok=ok, expected="Paris", got="Atlantis", item="fact.1", detail="no Paris")
    return CheckedBoot(number=number, findings=[found], error=error)


@pytest.mark.parametrize(
    ("boots", "ok", "rate"),
    [
        ([boot(n) for n in range(1, 6)], True, "0 of 5 fresh boots wrong: 0.0% to 52.2% of all boots"),
        ([boot(n, ok=n != 3) for n in range(1, 6)], False, "1 of 5 fresh boots wrong: 0.5% to 71.6% of all boots"),
        ([boot(1, error="it did not start: CUDA error")], False, "1 of 1 fresh boots wrong: 2.5% to 100.0%"),
    ],
)
def test_a_rate_is_told_with_its_exact_bounds(boots: list[CheckedBoot], ok: bool, rate: str) -> None:
    found = check_boots(boots)
    assert found.ok == ok and rate in found.got and found.note == found.got


def test_what_was_wrong_is_told_boot_by_boot() -> None:
    found = check_boots([boot(1), boot(2, ok=False), boot(3, error="it ended: CUDA error")])
    assert found.detail == "boot 2: boots.right of fact.1: no Paris; boot 3: it ended: CUDA error"
    assert found.data["wrong_boots"] == [2, 3]


def test_one_boot_proves_nothing_about_boots() -> None:
    assert not check_boots([boot(1)]).sensitive
