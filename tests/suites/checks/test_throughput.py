"""A load result that is no measurement, breaks Little's law or physics, or is slower than it was."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.client.reply import Reply
from fixtures.traffic.metrics import RequestSample, summarise_samples
from reports.compare.slower import not_slower
from suites.checks import throughput
from tests.suites.world import cell


def result(
    *, streams: int = 4, waves: int = 3, ttft: float = 0.5, tpot: float = 0.02, length: int = 50, **changes: Any
) -> dict[str, Any]:
    """Return an ideal closed loop: every stream starts its next request when one ends."""
    e2e = ttft + tpot * (length - 1)
    samples = [
        RequestSample(
            sent=wave * e2e,
            stamps=tuple(wave * e2e + ttft + i * tpot for i in range(length)),
            input_len=100,
            output_len=length,
            reply=Reply(content="x" * length, chunks=length),
        )
        for wave in range(waves)
        for _ in range(streams)
    ]
    return summarise_samples(samples, duration=waves * e2e, concurrency=streams) | changes


def test_an_ideal_run_passes_everything() -> None:
    ideal = result()
    assert throughput.check_complete(ideal, output_len=50).ok
    assert throughput.check_littles_law(ideal).ok
    assert throughput.check_possible(ideal, cell()).ok


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"failed": 1, "errors": ["", "HTTP 500"]}, "1 of 12 requests failed: HTTP 500"),
        ({"output_lens": [50] * 11 + [49]}, "1 outputs are not 50"),
        ({"completed": 0, "output_lens": []}, "nothing completed"),
    ],
)
def test_an_incomplete_run_is_no_measurement(changes: dict[str, Any], why: str) -> None:
    finding = throughput.check_complete(result(**changes), output_len=50)
    assert not finding.ok
    assert why in finding.detail


@settings(deadline=None)  # the ideal run of 256 streams takes longer on a busy host
@given(streams=st.integers(1, 256), waves=st.integers(1, 5), ttft=st.floats(0.01, 60), tpot=st.floats(0.001, 0.2))
def test_littles_law_holds_for_every_ideal_loop(streams: int, waves: int, ttft: float, tpot: float) -> None:
    ideal = result(streams=streams, waves=waves, ttft=ttft, tpot=tpot, length=3)
    assert throughput.check_littles_law(ideal).ok


def test_littles_law_holds_where_requests_queue_for_one_slot() -> None:
    """Two streams, four requests of 1 s, one at a time (llama.cpp with one slot): the first stream ends early."""
    queued = summarise_samples(
        [
            RequestSample(sent=sent, stamps=(end - 0.1, end), output_len=2, reply=Reply(content="x", chunks=2))
            for sent, end in ((0.0, 1.0), (0.0, 2.0), (1.0, 3.0), (2.0, 4.0))
        ],
        duration=4.0,
        concurrency=2,
    )
    assert throughput.check_littles_law(queued).ok
    assert not throughput.check_littles_law(queued | {"request_throughput": 0.8}).ok


@pytest.mark.parametrize("factor", [0.9, 1.1, 2.0])
def test_a_throughput_that_does_not_fit_its_latency_breaks_littles_law(factor: float) -> None:
    ideal = result(ttft=1.0)
    lie = ideal | {"request_throughput": ideal["request_throughput"] * factor}
    assert not throughput.check_littles_law(lie).ok


# docs/sources/001.md: concurrency, output tok/s, TTFT ms, TPOT ms; 512 tokens out
PUBLISHED = ((1, 54, 183, 18.31), (8, 317, 1249, 22.85), (32, 884, 1341, 33.56), (128, 2132, 3558, 52.93))


@pytest.mark.parametrize(("streams", "tps", "ttft_ms", "tpot_ms"), PUBLISHED)
def test_the_published_table_obeys_littles_law(streams: int, tps: float, ttft_ms: float, tpot_ms: float) -> None:
    published = result(streams=streams) | {
        "mean_e2el_ms": ttft_ms + 511 * tpot_ms,
        "request_throughput": tps / 512,
        "e2els": [],
    }
    assert throughput.check_littles_law(published).ok
    assert not throughput.check_littles_law(published | {"request_throughput": tps / 256}).ok


def test_speed_above_the_memory_bandwidth_is_a_bug() -> None:
    gpu = cell(sm=90, bandwidth=4_800_000_000_000, gpus=1, size_bytes=300_000_000_000)
    limit = throughput.decode_limit_tps(gpu) or 0.0
    assert limit == pytest.approx(4.8e12 / (300e9 * 4 / 16))
    assert throughput.check_possible(result(tpot=1.05 / limit), gpu).ok
    assert not throughput.check_possible(result(tpot=0.95 / limit), gpu).ok


def test_without_a_known_bandwidth_nothing_is_judged() -> None:
    finding = throughput.check_possible(result(tpot=1e-9), cell())
    assert finding.ok
    assert not finding.sensitive


QUIET = [100.0, 100.4, 99.8, 100.1, 99.9]


@pytest.mark.parametrize(("now", "ok"), [([99, 98, 97], True), ([94, 94.5, 94.9], False), ([120, 120, 120], True)])
def test_throughput_may_not_fall_beyond_the_tolerance(now: list[float], ok: bool) -> None:
    assert not_slower("tps", now, QUIET, more_is_better=True).ok is ok


@pytest.mark.parametrize(("now", "ok"), [([101, 102, 103], True), ([106, 107, 106], False), ([80, 80, 80], True)])
def test_latency_may_not_rise_beyond_the_tolerance(now: list[float], ok: bool) -> None:
    assert not_slower("tpot", now, QUIET, more_is_better=False).ok is ok


def test_noisy_baselines_allow_more() -> None:
    found = not_slower("tps", [92.0], [100.0, 98, 102, 97, 103], more_is_better=True)
    assert found.ok and found.sensitive


def test_a_baseline_that_would_miss_a_fifth_is_no_evidence() -> None:
    found = not_slower("tps", [75.0], [100.0, 80, 120, 90, 110], more_is_better=True)
    assert found.ok and not found.sensitive
    assert "nothing under 44% would show" in found.detail


def test_each_wave_of_an_ideal_run_is_as_fast_as_the_whole() -> None:
    ideal = result(waves=3)
    assert throughput.rate_by_wave(ideal) == pytest.approx([ideal["output_throughput"]] * 3)


def test_the_median_wave_minds_neither_ramp_nor_drain() -> None:
    ideal = result(waves=3)
    late = [s + 5 * (i >= 8) for i, s in enumerate(ideal["start_times"])]  # the last wave waits 5 s
    rates = throughput.rate_by_wave(ideal | {"start_times": late})
    assert rates[2] < rates[1] == pytest.approx(ideal["output_throughput"])


def test_what_failed_is_in_no_wave() -> None:
    assert (
        throughput.rate_by_wave({"max_concurrency": 2, "start_times": [1.0], "e2els": [0.0], "output_lens": [0]}) == []
    )


@pytest.mark.parametrize("more_is_better", [True, False])
def test_launches_that_measured_zero_judge_nothing(more_is_better: bool) -> None:
    finding = not_slower("tpot", [3.0], [0.0] * 5, more_is_better=more_is_better)
    assert finding.ok
    assert not finding.sensitive


def test_too_few_launches_judge_nothing() -> None:
    finding = not_slower("tps", [1.0], QUIET[:4], more_is_better=True)
    assert finding.ok
    assert not finding.sensitive


@pytest.mark.parametrize(("fresh", "ok"), [(80.0, False), (99.0, True)])
def test_two_launches_are_slow_only_together(fresh: float, ok: bool) -> None:
    first, second = (not_slower("tps", [v], QUIET, more_is_better=True) for v in (81.0, fresh))
    found = throughput.judge_both_launches(first, second)
    said = f"0.81 of the baseline, {fresh / 100:.2f} on a fresh launch"
    assert (found.ok, found.detail, found.note) == (ok, said, said if ok else "")
    assert found.sensitive and found.check == first.check
    assert "81 (0.810 of the baseline)" in found.got and f"{fresh:.3g}" in found.got


def test_a_fresh_launch_that_could_show_nothing_excuses_nothing() -> None:
    first, second = (not_slower("tps", [v], QUIET, more_is_better=True) for v in (81.0, 99.0))
    found = throughput.judge_both_launches(
        first, dataclasses.replace(second, sensitive=False, detail="the client was not fit")
    )
    assert (found.ok, found.note) == (False, "")
    assert "not fit" in found.detail


def test_without_a_second_launch_the_first_verdict_stands() -> None:
    found = throughput.keep_first_verdict(not_slower("tps", [81.0], QUIET, more_is_better=True), "it is not ours")
    assert not found.ok
    assert "it is not ours" in found.detail


@pytest.mark.parametrize(
    ("got", "more", "ok"), [(80.0, True, True), (79.9, True, False), (125.0, False, True), (125.1, False, False)]
)
def test_published_numbers_are_loose_floors(got: float, more: bool, ok: bool) -> None:
    assert throughput.check_claim("x", got, 100.0, more_is_better=more).ok is ok


def timed(cached: int | None, ttft_s: float = 0.5, prompt_tokens: int | None = 1000) -> throughput.Counted:
    return Reply(content="x", prompt_tokens=prompt_tokens, ttft_s=ttft_s), cached


def test_cold_and_warm_are_told_apart() -> None:
    found = throughput.check_cold_and_warm([timed(12)], [timed(990, 0.05)])
    assert (found.ok, found.sensitive, found.data["cold"], found.data["warm"]) == (True, True, 2000.0, 20000.0)


def test_a_prompt_without_a_count_or_a_time_has_no_speed_and_no_share() -> None:
    assert throughput.prefill_tps(Reply(content="x", prompt_tokens=1000)) == 0.0
    assert throughput.prefill_tps(Reply(content="x", ttft_s=0.5)) == 0.0
    uncounted = [timed(None, prompt_tokens=None), timed(None, prompt_tokens=1)]
    assert throughput.check_cold_and_warm(uncounted, [timed(0)]).ok
    for tokens in (1, 0, None):
        found = throughput.check_cold_and_warm([timed(1, prompt_tokens=tokens)], [timed(0)])
        assert "100% of a cold prompt" in found.detail


def test_a_cold_number_from_the_cache_is_none() -> None:
    assert "99% of a cold prompt" in throughput.check_cold_and_warm([timed(12), timed(990)], [timed(990)]).detail


def test_an_engine_that_does_not_say_what_was_cached_proves_nothing() -> None:
    assert not throughput.check_cold_and_warm([timed(None)], [timed(None)]).sensitive


def test_losses_beside_a_load_are_weighed_exactly() -> None:
    alone = {f"i{n}": True for n in range(20)}
    assert throughput.check_accuracy(alone, {**alone, **{f"i{n}": False for n in range(4)}}).ok  # p = 6 %
    worse = throughput.check_accuracy(alone, {**alone, **{f"i{n}": False for n in range(5)}})  # p = 3 %
    assert not worse.ok
    assert "i4" in worse.detail


def test_wins_excuse_losses_and_few_items_prove_nothing() -> None:
    alone = {f"i{n}": n > 4 for n in range(20)}
    assert (
        throughput.check_accuracy(alone, {i: not right for i, right in alone.items()} | {"i19": True}).data["won"] == 5
    )
    assert not throughput.check_accuracy({"a": True}, {"a": False}).sensitive
    assert not throughput.check_accuracy(alone, {}).sensitive


def test_a_finding_names_its_check_and_shows_the_whole_measurement() -> None:
    got = f"12 completed, {600 / (3 * 1.48):.1f} tok/s, TTFT 500.0 ms, TPOT 20.00 ms"
    gpu = cell(sm=90, bandwidth=4_800_000_000_000, gpus=1, size_bytes=300_000_000_000)
    ideal, allowed = result(), 0.02 + 0.01 / 1.48
    whole, law = throughput.check_complete(ideal, output_len=50), throughput.check_littles_law(ideal)
    fast, unknown = throughput.check_possible(ideal, gpu), throughput.check_possible(ideal, cell())
    said = [(f.check, f.expected, f.got, f.sensitive) for f in (whole, law, fast, unknown)]
    assert said == [
        ("throughput.complete", "12 outputs of 50 tokens", got, True),
        ("throughput.littles_law", f"4 streams, within {allowed:.1%}", got, True),
        ("throughput.possible", "<= 64 tok/s", got, True),
        ("throughput.possible", "no limit known for this rig", got, False),
    ]
    assert whole.data == {"concurrency": 4}
    assert law.data == pytest.approx({"concurrency": 4, "ratio": 1.0, "allowed": allowed})
    assert fast.data == pytest.approx({"concurrency": 4, "decode_tps": 50.0})


@pytest.mark.parametrize("broken", [{"mean_ttft_ms": float("nan")}, {"ttfts": [0.5, float("inf")]}])
def test_a_result_with_something_that_is_no_number_is_no_measurement(broken: dict[str, Any]) -> None:
    found = throughput.check_complete(result(**broken), output_len=50)
    assert not found.ok and f"{next(iter(broken))} is " in found.detail


def test_reasons_stand_apart_and_a_failure_without_words_adds_none() -> None:
    found = throughput.check_complete(result(failed=1, errors=[""], completed=0), output_len=50)
    assert found.detail == "1 of 12 requests failed: ; nothing completed"


@pytest.mark.parametrize(
    ("streams", "busy", "e2e_s", "ok"),
    [
        (256, 1.029, 1.0, True),  # 2 % and 10 ms of 1 s
        (256, 1.025, 10.0, False),  # 10 ms of 10 s are less
        (256, 1.05, 1.0, False),
        (257, 1.05, 1.0, True),  # requests queue
        (4, 0.0, 0.0, False),  # no time at all is no reason to allow more
    ],
)
def test_littles_law_allows_a_scheduler_tick_and_more_where_requests_queue(
    streams: int, busy: float, e2e_s: float, ok: bool
) -> None:
    rate = busy * streams / e2e_s if e2e_s else 1.0
    told = result() | {"max_concurrency": streams, "mean_e2el_ms": e2e_s * 1000, "request_throughput": rate}
    found = throughput.check_littles_law(told | {"e2els": []})
    assert found.ok is ok
    assert found.data["ratio"] == pytest.approx(busy)
    assert ok or f"{busy * streams:.2f} streams implied, {streams} asked" == found.detail


def test_a_stream_is_idle_from_its_own_end_to_the_last_one() -> None:
    """Ends at 1 s and 4 s of 4 s: three of eight stream-seconds have no work."""
    told = result() | {"max_concurrency": 2, "request_throughput": 0.0, "duration": 4.0}
    found = throughput.check_littles_law(told | {"start_times": [0.0, 1.0], "e2els": [1.0, 3.0]})
    assert found.data["ratio"] == pytest.approx(3 / 4 / 2)


def test_a_decode_without_time_is_above_every_limit_and_the_limit_itself_is_possible() -> None:
    gpu = cell(sm=90, bandwidth=4_800_000_000_000, gpus=1, size_bytes=300_000_000_000)
    assert not throughput.check_possible(result() | {"median_tpot_ms": 0.0}, gpu).ok
    assert throughput.check_possible(result() | {"median_tpot_ms": 1000 / 64}, gpu).ok
    drafts = dataclasses.replace(gpu, features=frozenset({"mtp"}))
    assert throughput.decode_limit_tps(drafts) == 4 * 64


def test_a_wave_ends_with_its_last_reply() -> None:
    waves = {"max_concurrency": 3, "output_lens": [10, 20, 30, 5], "start_times": [0.0, 0.0, 0.0, 4.0]}
    assert throughput.rate_by_wave(waves | {"e2els": [1.0, 2.0, 4.0, 0.5]}) == [60 / 4, 5 / 0.5]
    nothing: dict[str, Any] = {"start_times": [], "e2els": [], "output_lens": []}
    assert throughput.rate_by_wave(waves | nothing) == []
    with pytest.raises(ValueError, match="zip"):
        throughput.rate_by_wave(waves | {"e2els": [1.0]})


def test_the_second_launch_s_ratio_is_kept_beside_the_first_s() -> None:
    first, second = (not_slower("tps", [v], QUIET, more_is_better=True) for v in (81.0, 99.0))
    found = throughput.judge_both_launches(first, dataclasses.replace(second, detail="noisy"))
    assert found.data == {**first.data, "fresh_ratio": pytest.approx(0.99)}
    assert found.detail == "0.81 of the baseline, 0.99 on a fresh launch; noisy"


def test_accuracy_counts_only_what_was_asked_both_times_and_names_what_was_lost() -> None:
    alone = {"a": True, "b": True, "c": False, "d": True, "only alone": True}
    found = throughput.check_accuracy(alone, {"a": True, "b": False, "c": True, "d": False, "only beside": False})
    assert (found.check, found.expected) == ("throughput.accurate", "the answers given alone: 3 of 4 right")
    assert (found.got, found.detail) == ("2 of 4 right, 2 lost, 1 won, p = 0.5", "lost: b, d")
    assert (found.ok, found.sensitive, found.data) == (True, False, {"lost": 2, "won": 1, "p": 0.5, "items": 4})


def test_five_shared_answers_are_enough_to_notice_that_all_are_lost() -> None:
    five = dict.fromkeys("abcde", True)
    same, lost = (throughput.check_accuracy(five, dict.fromkeys("abcde", right)) for right in (True, False))
    assert (same.ok, same.sensitive, same.detail) == (True, True, "")
    assert (lost.ok, lost.sensitive) == (False, True)


@pytest.mark.parametrize(("more", "expected"), [(True, ">= 0.8 x 100"), (False, "<= 1.25 x 100")])
def test_a_claim_is_told_with_its_own_bound(more: bool, expected: str) -> None:
    found = throughput.check_claim("tpot", 90.0, 100.0, more_is_better=more)
    assert (found.check, found.expected) == ("throughput.near_claim.tpot", expected)
    assert (found.got, found.data) == ("90 (0.90 of the claim)", {"ratio": 0.9})
