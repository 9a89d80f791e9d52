"""Ask the flash canary held-out items of the bank, the short kinds first, for as long as there is time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict

from fixtures.banks import canary as bank
from lab.canary_training.evaluate import SEED, SHORT, EvaluationCase, force_sample, hunt_case, make_sample, run_case
from lab.canary_training.flash.fusion import stop_fusion
from lab.canary_training.flash.model import FlashCanary
from lab.canary_training.trunk import Log

LENGTHS = (256, 512, 1024, 2048, 4096, 8192)
SPARSE = ((256, (512, 1024, 4096)), (2048, (4096, 8192)))  # only lengths beyond the selection: below it is dense
LONGEST = ((2048, 16384), (2048, 32768))  # a quarter as many: their masks take a second each


def hold_exam(
    model: FlashCanary, device: str, log: Log, *, n: int, longest: int, until: float
) -> list[dict[str, object]]:
    """Return the scores of every case that began before `until` on the monotonic clock."""
    model.eval()
    stop_fusion()  # each length would be compiled anew
    scores = []
    for case in list_flash_cases(n, longest):
        begin = time.monotonic()
        if begin > until:
            log(f"exam ends before {case.name}: no time is left")
            break
        score = run_case(model, case, device)
        log(f"exam {score.name:16} {score.attention:8} {score.right}/{score.total} {time.monotonic() - begin:.1f}s")
        scores.append(asdict(score))
    return scores


def count_right(scores: list[dict[str, object]]) -> float:
    """Return the mean share of right answers over the cases: no kind counts for more because it is asked more."""
    shares = [int(str(score["right"])) / max(1, int(str(score["total"]))) for score in scores]
    return sum(shares) / max(1, len(shares))


def list_flash_cases(n: int, longest: int) -> Iterator[EvaluationCase]:
    for draw in SHORT:
        yield EvaluationCase(name=draw.__name__, draw=lambda draw=draw: [make_sample(item) for item in draw(SEED, n)])
    yield EvaluationCase(name="forced_json", draw=lambda: [force_sample(item) for item in bank.calls(SEED + 1, n)])
    for length in (length for length in LENGTHS if length <= longest):
        yield from _hunts(length, n)
    for length in (length for length in (512, 4096) if length <= longest):
        yield hunt_case("needle_pair", bank.needle_pair, length, n)
        yield hunt_case("needle_turns", bank.needle_turns, length, n)
    for topk, lengths in SPARSE:
        for length in (length for length in lengths if length <= longest):
            yield from _hunts(length, n, topk)
    for topk, length in LONGEST:
        if length <= longest:
            yield from _hunts(length, max(1, n // 4), topk)


def _hunts(length: int, n: int, topk: int | None = None) -> Iterator[EvaluationCase]:
    yield hunt_case("needle", bank.needle, length, n, topk=topk)
    yield hunt_case("no_needle", bank.no_needle, length, n, topk=topk)
