"""Known failures of a cell: deviations that are expected, with cause and shape. Only deviations are written down.

A failure is a known one when an entry of its cell fits in stage (`at`), kind (`how`) and `signature`, all three.
Anything else is a failure of its own, whatever else is known of the cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from matrix.model import Cell
from matrix.recorded import Fails, KnownFailure
from matrix.signature import extract_match
from matrix.yaml.loaded import Loaded, Matrix

LAUNCH: Final = ("before_ready", "first_request")  # stages that an entry about the launch can name
STAGES: Final = {
    "before_ready": "before the engine was ready",
    "first_request": "at its first request",
    "test": "in a test",
    "attach": "at the first contact with somebody else's server",
    "relaunch": "at a later launch",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFailure:
    """What was seen of one failing test. `texts` are what it said, without echoes: a signature must fit each."""

    at: str  # as `Fails.at`; also attach and relaunch, which no entry can name
    how: str
    texts: tuple[str, ...]
    test: str = ""
    test_id: str = ""  # without the cell, see `remove_cell`
    http_status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureMatch:
    """The entry that a failure fits, and the words by which it does."""

    known: Loaded[KnownFailure]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOfCell:
    """What is known of a test's cell, and the words that say nothing when its engine repeats them."""

    entries: tuple[Loaded[KnownFailure], ...] = ()
    words: tuple[str, ...] = ()  # ids
    flags: tuple[str, ...] = ()  # of the launch command


def select_of_cell(matrix: Matrix, cell: Cell) -> list[Loaded[KnownFailure]]:
    """Select all entries of a cell."""
    return [k for k in matrix.known_failures if k.condition(cell.facts)]


def match_known_failure(entries: Iterable[Loaded[KnownFailure]], failure: SeenFailure) -> FailureMatch | None:
    """Find the first entry that fits the failure in stage, kind and signature."""
    for known in entries:
        if not _explain_mismatch(known.value.fails, failure):
            return FailureMatch(known=known, text=extract_match(known.value.fails.signature, failure.texts[0]))
    return None


def explain_mismatches(entries: Iterable[Loaded[KnownFailure]], failure: SeenFailure) -> list[str]:
    """Say of each entry that could be meant, about the launch or about this test, why it is not."""
    # entries about other tests of the cell could not have been meant, and would bury the one that could
    about = (k for k in entries if k.value.fails.at != "test" or k.value.fails.test == failure.test)
    return [f"{k.value.id}: {why}" for k in about if (why := _explain_mismatch(k.value.fails, failure))]


def _explain_mismatch(fails: Fails, failure: SeenFailure) -> str:
    # the plainest difference first: what is told is the first reason, and stage and test explain more than words
    if fails.at != failure.at:
        return f"is about a failure {STAGES[fails.at]}, this was {STAGES.get(failure.at, failure.at)}"
    if fails.at == "test" and not speaks_of_test(fails, failure.test, failure.test_id):
        return f"is about {fails.test}{list(fails.params) or ''}, this was {failure.test_id or failure.test}"
    if fails.how != failure.how:
        return f"shows as {fails.how}, this as {failure.how}"
    if fails.http_status is not None and fails.http_status != failure.http_status:
        return f"shows as HTTP {fails.http_status}, this as HTTP {failure.http_status}"
    # every text must fit: a test with a known finding and a new one is a new failure
    strange = [t for t in failure.texts if not extract_match(fails.signature, t)]
    # a failure that said nothing fits no signature, not any
    if strange or not failure.texts:
        return (
            f"its signature {fails.signature!r} fits nothing that was said{_count_strange(len(strange), failure.texts)}"
        )
    return ""


def _count_strange(strange: int, texts: Sequence[str]) -> str:
    return f" in {strange} of {len(texts)} findings" if len(texts) > 1 else ""


def speaks_of_test(fails: Fails, test: str, test_id: str) -> bool:
    """Whether an entry is about this test, with these parameters."""
    return fails.at == "test" and fails.test == test and (not fails.params or any(p in test_id for p in fails.params))


def remove_cell(test_id: str, cell: str) -> str:
    """Remove the cell from a test's id: its digits are no parameter, and `params: ["10"]` would fit every test of it.

    >>> remove_cell("test_x[1024-cpu.vllm_0_10.canary.mtp]", "cpu.vllm_0_10.canary.mtp")
    'test_x[1024]'
    """
    name, _, inside = test_id.removesuffix("]").partition("[")
    params = "-".join(part for part in inside.split("-") if part != cell)
    return f"{name}[{params}]" if params else name


def find_expired(matrix: Matrix, today: date) -> list[Loaded[KnownFailure]]:
    """Entries whose review date has passed: each is red until somebody looks again."""
    return [k for k in matrix.known_failures if k.value.review_by < today]
