"""A drift to the worse fails, one to the better does not; what is not told is no evidence, and NaN is red."""

from __future__ import annotations

import math

import pytest

from reports.evidence.finding import Finding
from suites.checks.drift import check_answers, check_drift, thin_out

RISING = [(60.0 * n, 1 + n / 10) for n in range(12)]
FALLING = [(at, 3 - value) for at, value in RISING]


@pytest.mark.parametrize(
    ("samples", "worse", "ok", "sensitive"),
    [
        (RISING, "up", False, True),
        (RISING, "down", True, True),
        (FALLING, "down", False, True),
        ([(at, 1 + value / 100) for at, value in RISING], "up", True, True),  # a trend of one per cent
        (RISING[:9], "up", True, False),
        ([(at, math.nan) for at, _ in RISING], "up", False, True),
    ],
)
def test_drift(samples: list[tuple[float, float]], worse: str, ok: bool, sensitive: bool) -> None:
    found = check_drift("latency", samples, worse=worse)  # type: ignore[arg-type]
    assert (found.ok, found.sensitive) == (ok, sensitive)


@pytest.mark.parametrize(
    ("name", "longest", "ok"), [("latency", 2e-4, True), ("latency", 3e-4, False), ("memory", 2e-4, False)]
)
def test_what_a_busy_host_adds_is_no_drift(name: str, longest: float, ok: bool) -> None:
    samples = [(float(n), longest * n / 20) for n in range(1, 21)]
    assert check_drift(name, samples, worse="up").ok is ok


def test_a_long_soak_is_thinned_out_to_its_end() -> None:
    samples = [(float(n), 1.0) for n in range(100_003)]
    thin = thin_out(samples)
    assert len(thin) <= 200 and thin[-1] == samples[-1] and thin_out(RISING) == RISING


def test_the_first_wrong_round_is_told() -> None:
    right = Finding(check="soak.answer", ok=True, expected="Paris", got="Paris")
    wrong = Finding(check="soak.answer", ok=False, expected="Paris", got="Rome", detail="no Paris")
    found = check_answers([[right], [right], [wrong], [wrong]])
    assert not found.ok and "round 3 of 4" in found.detail and found.data["wrong_rounds"] == [3, 4]
    assert check_answers([[right]]).ok and not check_answers([]).sensitive
