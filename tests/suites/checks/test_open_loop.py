"""What must be true of a load by the clock, on results that a right and a wrong server would have made."""

from __future__ import annotations

import math
from typing import Any

import pytest

from suites.checks import open_loop

SPACED_S, TTFT_S, E2E_S = 1.0, 0.1, 0.5


def result(count: int = 10, **changes: Any) -> dict[str, Any]:
    """Return what a server makes that answers each request in half a second, and is busy half of the time."""
    found = {
        "offered": count,
        "num_prompts": count,
        "completed": count,
        "failed": 0,
        "unfinished": 0,
        "errors": [""] * count,
        "offered_rate": 1 / SPACED_S,
        "duration": count * SPACED_S,
        "window_s": count * SPACED_S,
        "start_times": [SPACED_S * i for i in range(count)],
        "ttfts": [TTFT_S] * count,
        "e2els": [E2E_S] * count,
        "wire_s": [E2E_S] * count,
        "sent_late_s": [0.0] * count,
        "late_share": 0.0,
        "client_fit": True,
        "client_unfit_because": "",
    } | changes
    return found | open_loop.count_good(found, 1.0)


def test_a_right_server_passes_every_check() -> None:
    found = result()
    checks = [
        open_loop.check_offered(found),
        open_loop.check_sent_on_time(found),
        open_loop.check_open_littles_law(found),
        open_loop.check_goodput(found, share=0.5, wanted=0.9),
    ]
    assert all(f.ok and f.sensitive for f in checks), [f.explain() for f in checks]


@pytest.mark.parametrize(
    "changes", [{"num_prompts": 9, "completed": 9}, {"completed": 9, "failed": 1}, {"completed": 9}]
)
def test_a_request_that_is_lost_shows(changes: dict[str, Any]) -> None:
    assert not open_loop.check_offered(result(**changes)).ok


def test_one_request_sent_late_shows() -> None:
    found = open_loop.check_sent_on_time(result(late_share=0.1, sent_late_s=[0.02] + [0.0] * 9))
    assert (found.ok, found.got) == (False, "10% sent late, at most 20.0 ms")


@pytest.mark.parametrize("wire", [E2E_S + 0.1, E2E_S - 0.1])
def test_time_on_the_wire_that_no_latency_holds_breaks_littles_law(wire: float) -> None:
    assert not open_loop.check_open_littles_law(result(wire_s=[wire] * 10)).ok


def test_a_late_sending_is_part_of_the_latency() -> None:
    found = result(wire_s=[E2E_S - 0.2] * 10, sent_late_s=[0.2] * 10)
    assert open_loop.check_open_littles_law(found).ok


def test_no_completed_request_fulfils_no_law() -> None:
    assert not open_loop.check_open_littles_law(result(e2els=[0.0] * 10, wire_s=[0.0] * 10)).ok


def stalled(bad: int, by_s: float = 3.0, **changes: Any) -> dict[str, Any]:
    return result(e2els=[by_s] * bad + [E2E_S] * (10 - bad), **changes)


@pytest.mark.parametrize(("bad", "ok"), [(0, True), (1, True), (2, False)])
def test_goodput_counts_those_within_the_limit(bad: int, ok: bool) -> None:
    assert open_loop.check_goodput(stalled(bad), share=0.5, wanted=0.9).ok is ok


def test_a_failed_request_is_not_good() -> None:
    found = result(errors=["HTTP 429"] * 2 + [""] * 8)
    assert not open_loop.check_goodput(found, share=0.5, wanted=0.9).ok


def test_above_half_of_the_capacity_goodput_is_recorded_only() -> None:
    found = open_loop.check_goodput(stalled(9), share=0.75, wanted=0.9)
    assert (found.ok, found.sensitive, found.data["good_share"]) == (True, False, 0.1)


@pytest.mark.parametrize(("by_s", "ok"), [(3.0, True), (6.0, False)])
def test_on_a_busy_host_only_what_it_cannot_explain_is_missed(by_s: float, ok: bool) -> None:
    unfit = {"client_fit": False, "client_unfit_because": "loop lag p99 23.7 ms > 5 ms"}
    found = open_loop.check_goodput(stalled(5, by_s, **unfit), share=0.5, wanted=0.9)
    assert (found.ok, found.sensitive) == (ok, not ok)


def test_a_share_that_is_no_number_is_not_good() -> None:
    assert not open_loop.check_goodput(result() | {"good_share": math.nan}, share=0.5, wanted=0.9).ok
