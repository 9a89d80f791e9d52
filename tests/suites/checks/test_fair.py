"""Who waits while others come and go, and who crawls beside them."""

from __future__ import annotations

from typing import Any

import pytest

from suites.checks import fair

TTFT_S, GAP_S, GAPS = 0.1, 0.05, 8
E2E_S = TTFT_S + GAP_S * GAPS


def closed(streams: int = 2, rounds: int = 5, *, lag_ms: float = 1.0) -> dict[str, Any]:
    """Return what a fair server makes of a closed load whose streams begin half a reply apart."""
    starts = [s * E2E_S / streams + r * E2E_S for r in range(rounds) for s in range(streams)]
    return {
        "start_times": starts,
        "ttfts": [TTFT_S] * len(starts),
        "e2els": [E2E_S] * len(starts),
        "itls": [[GAP_S] * GAPS for _ in starts],
        "max_concurrency": streams,
        "client_loop_lag_max_ms": lag_ms,
    }


def give_gaps(found: dict[str, Any], number: int, gaps: list[float], ttft: float = TTFT_S) -> dict[str, Any]:
    found["itls"][number], found["ttfts"][number], found["e2els"][number] = gaps, ttft, ttft + sum(gaps)
    return found


def test_a_fair_load_says_nothing_and_an_unfair_one_what_is_unfair() -> None:
    unfair = closed()
    give_gaps(unfair, 0, [2.0])
    assert fair.list_unfair(closed()) == []
    assert {one.ok for one in fair.list_unfair(unfair)} == {False}


def test_a_fair_server_passes_both() -> None:
    found = closed(4)
    assert all(f.ok and f.sensitive for f in (fair.check_overtaken(found), fair.check_abreast(found)))


# The others' ends lie 0.25 s apart; the second one was sent 0.25 s behind the first.
@pytest.mark.parametrize(("held_s", "overtaken", "ok"), [(0.5, 0, True), (0.8, 1, True), (1.1, 2, False)])
def test_a_request_may_be_overtaken_once(held_s: float, overtaken: int, ok: bool) -> None:
    found = fair.check_overtaken(give_gaps(closed(), 0, [GAP_S] * GAPS, ttft=held_s))
    assert (found.ok, found.data["overtaken"]) == (ok, overtaken)
    assert found.detail == ("" if ok else "request 0 was overtaken by 2")


def test_a_stream_that_stands_still_is_overtaken() -> None:
    assert not fair.check_overtaken(give_gaps(closed(), 0, [GAP_S, 1.4, *[GAP_S] * 6])).ok


def test_arrivals_at_one_moment_have_no_order() -> None:
    found = give_gaps(closed(), 0, [GAP_S] * GAPS, ttft=5.0) | {"start_times": [0.001 * i for i in range(10)]}
    assert fair.check_overtaken(found).ok


def test_what_a_client_reads_in_one_round_has_no_order() -> None:
    assert fair.check_overtaken(give_gaps(closed(lag_ms=3000.0), 0, [GAP_S] * GAPS, ttft=2.0)).ok


def test_a_sending_that_was_late_counts_from_the_sending() -> None:
    found = give_gaps(closed(), 0, [GAP_S] * GAPS, ttft=1.1) | {"sent_late_s": [1.0, *[0.0] * 9]}
    assert fair.check_overtaken(found).ok


@pytest.mark.parametrize(("times", "ok"), [(1.0, True), (1.9, True), (2.1, False), (4.0, False)])
def test_a_slot_may_not_take_twice_as_long(times: float, ok: bool) -> None:
    found = fair.check_abreast(give_gaps(closed(), 2, [times * GAP_S] * GAPS))
    assert (found.ok, found.data["slowest"]) == (ok, pytest.approx(max(1.0, times)))


@pytest.mark.parametrize(
    "gaps", [[GAP_S] * 7 + [2.0], [0.0, 0.0, 0.0, 0.0, 0.1, 0.1, 0.1, 0.1], [0.0, 0.0, 0.0, 0.13, 0.13, 0.13, 0.13]]
)
def test_a_pause_and_bursts_are_no_pace(gaps: list[float]) -> None:
    assert fair.check_abreast(give_gaps(closed(), 2, gaps)).ok


def test_a_server_that_pauses_for_all_slows_nobody_apart() -> None:
    found = closed()
    found["itls"] = [[gap * 9 for gap in gaps] for gaps in found["itls"]]
    found["start_times"] = [9 * start for start in found["start_times"]]
    assert fair.check_abreast(found).ok


# Of a stub's replies, whose chunks come at once, one took 56 times as long where threads waited for each other.
@pytest.mark.parametrize(
    ("beside_ms", "lag_ms", "ok", "told"),
    [(0.1, 0.5, True, False), (2.0, 0.5, False, True), (2.0, 3.0, True, True), (2.0, 2.5, False, True)],
)
def test_what_came_faster_than_a_decode_has_no_pace_and_the_clients_own_loop_is_late(
    beside_ms: float, lag_ms: float, ok: bool, told: bool
) -> None:
    found = closed() | {"client_loop_lag_p99_ms": lag_ms, "start_times": [float(n // 2) for n in range(10)]}
    for number in range(10):
        give_gaps(found, number, [beside_ms / 1000] * GAPS)
    judged = fair.check_abreast(give_gaps(found, 2, [0.0056] * GAPS))
    assert (judged.ok, judged.sensitive) == (ok, told)


def test_one_after_the_other_shows_no_pace() -> None:
    found = closed(1) | {"start_times": [E2E_S * i for i in range(5)]}
    found["itls"][2] = [9 * GAP_S] * GAPS
    assert not fair.check_abreast(found).sensitive


def test_a_request_without_an_end_has_no_order() -> None:
    found = closed()
    found["e2els"][0] = 0.0
    assert fair.check_overtaken(found).ok and 0 not in fair.count_overtakes(found)
