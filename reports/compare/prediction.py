"""Judges pairs of cells that differ in one feature: does the feature change what is predicted, and nothing else?

    indexcache             fewer bytes per KV token, by the shared layers' keys; other numbers beyond index_topk only,
                           by far more than a launch differs by when it is asked again
    fp8_kv                 fewer bytes per KV token, by the difference of the two layouts
    mtp, chunked_prefill   the same words

The ablation rung of the ladder, judged from what the cells recorded; nothing is launched again. Speed is not judged:
one launch beside another proves no speed-up. A cell that left nothing to judge by makes a prediction *absent*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, Final, Literal, NamedTuple

from matrix.judging.kv_bytes import TokenBytes, keys_everywhere, predict_token_bytes
from matrix.judging.logprobs import (
    NO_NUMBERS,
    Logprobs,
    chosen_token,
    drop_drafted,
    has_no_number,
    likeliest_first,
    prove_change_beyond,
    recorded_numbers,
)
from matrix.judging.observation import Rung
from matrix.judging.proof import FeatureProof as Ablation
from matrix.judging.proof import sizes
from matrix.judging.requested import Requested
from reports.compare.feature_pairs import FeaturePair, find_feature_pairs
from reports.compare.noise_floor import measure_noise
from reports.evidence.types import Found, Proof, Record
from reports.expected import ExpectedCell

Outcome = Literal["proven", "refuted", "unproven", "absent"]
READ_AT_ONCE: Final = 16  # a cell and its baseline have at most three sources each
SPEAKS: Final[tuple[Outcome, ...]] = ("refuted", "proven", "unproven", "absent")  # of several recordings, the first
Records = Sequence[Record]
Both = tuple[Any, Any]  # what the cell recorded, and what the one without the feature did


class PredictionSource(NamedTuple):
    """What a prediction reads of each cell: every recording, None for a recording that shows nothing."""

    name: str
    read: Callable[[Records], list[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One prediction about `cell` beside `without`, the same cell without `feature`."""

    cell: str
    without: str
    feature: str
    what: Literal["bytes", "numbers", "words"]
    outcome: Outcome
    detail: str

    @property
    def rung(self) -> Rung:
        """The rung of the evidence ladder, as for any proof."""
        return Rung.ABLATION

    @property
    def of_effect(self) -> bool:
        """True if the prediction shows that the feature is active (bytes, logprobs), not merely harmless (same
        text)."""
        return self.what != "words"


@dataclass(frozen=True, slots=True)
class ComparedPair:
    """Two cells that differ in one feature, with every cell's records."""

    pair: FeaturePair[ExpectedCell]
    records: Mapping[str, Records]
    read: Callable[[PredictionSource, str], list[Any]]  # what a cell left, by its id

    @property
    def recorded(self) -> tuple[Records, Records]:
        """Records of the cell and of its baseline."""
        mine, theirs = (self.records.get(c.id, ()) for c in (self.pair.cell, self.pair.without))
        return mine, theirs

    @property
    def layouts(self) -> tuple[Requested, Requested] | None:
        """What both plans request, if both KV layouts are known: only then are sizes recorded."""
        mine, theirs = self.pair.cell.wanted, self.pair.without.wanted
        return (mine, theirs) if mine and theirs and mine.layout and theirs.layout else None

    def judge_recordings(
        self,
        what: Literal["bytes", "numbers", "words"],
        judge: Callable[..., Iterable[Ablation]],
        *sources: PredictionSource,
    ) -> Prediction:
        """Judge every recording of one cell with every recording of the other; a refutation outranks all other
        outcomes."""
        found = [p for both in product(*map(self._pair_recordings, sources)) for p in judge(*both)]
        outcomes: list[tuple[Outcome, str]] = [(p.outcome, p.detail) for p in found]
        if lacks := "; ".join(said for source in sources for said in self._explain_lacking(source)):
            outcomes.append(("absent", lacks))
        outcome, detail = min(outcomes, key=lambda o: SPEAKS.index(o[0]), default=("unproven", "no engine shows it"))
        cell, without, feature = self.pair.cell.id, self.pair.without.id, self.pair.feature
        return Prediction(cell=cell, without=without, feature=feature, what=what, outcome=outcome, detail=detail)

    def _pair_recordings(self, source: PredictionSource) -> list[Both]:
        mine, theirs = self._read_both(source)
        return [(m, t) for m, t in product(mine, theirs) if m is not None and t is not None]

    def _read_both(self, source: PredictionSource) -> list[list[Any]]:
        """Read what both cells left, once: each judgement asks for it again, and one baseline has several cells."""
        return [self.read(source, cell.id) for cell in (self.pair.cell, self.pair.without)]

    def _explain_lacking(self, source: PredictionSource) -> Iterator[str]:
        for cell, found in zip((self.pair.cell.id, self.pair.without.id), self._read_both(source), strict=True):
            if not found:
                yield f"{cell} recorded no {source.name}"


def judge_predictions(cells: Iterable[ExpectedCell], records: Records) -> tuple[Prediction, ...]:
    """Judge every prediction about every pair of these cells."""
    by_cell: dict[str, list[Record]] = {}
    for record in records:
        by_cell.setdefault(record.cell, []).append(record)

    # A few, since pairs of one baseline follow one another: what all cells left is as large as the records.
    @lru_cache(READ_AT_ONCE)
    def read(source: PredictionSource, cell: str) -> list[Any]:
        return source.read(by_cell.get(cell, ()))

    pairs = (ComparedPair(pair, by_cell, read) for pair in find_feature_pairs(cells) if pair.feature in JUDGES)
    return tuple(found for beside in pairs for found in JUDGES[beside.pair.feature](beside))


def _judge_indexcache(beside: ComparedPair) -> Iterator[Prediction]:
    if (asked := beside.layouts) and not keys_everywhere(asked[0].dialect):
        yield beside.judge_recordings("bytes", lambda both: sizes.prove_by_ablation(asked[0], *both), SIZE)
    floor = measure_noise(beside.recorded)
    yield beside.judge_recordings(
        "numbers",
        lambda short, long: [prove_change_beyond(_make_usable(short), _make_usable(long), floor)],
        SHORT,
        LONG,
    )


def _judge_fp8_kv(beside: ComparedPair) -> Iterator[Prediction]:
    if asked := beside.layouts:
        size, without = map(_expected_bytes, asked)
        yield beside.judge_recordings(
            "bytes", lambda both: [sizes.prove_fewer_bytes("fp8_kv", without - size, *both)], SIZE
        )


def _expected_bytes(wanted: Requested) -> int:
    assert wanted.layout is not None  # see Beside.layouts
    return predict_token_bytes(wanted, wanted.layout, wanted.full_layers)


def _judge_words(beside: ComparedPair) -> Iterator[Prediction]:
    yield beside.judge_recordings("words", lambda both: [_compare_words(beside.pair.feature, "short", both)], SHORT)
    yield beside.judge_recordings("words", lambda both: [_compare_words(beside.pair.feature, "long", both)], LONG)


def _compare_words(feature: str, name: str, both: Both) -> Ablation:
    """Compare the tokens of both cells. Greedy decoding may change at a near tie of two tokens, so other words
    refute nothing."""
    if has_no_number(*both):
        return Ablation(feature=feature, outcome="refuted", rung=Rung.ABLATION, detail=f"{name} prompt: {NO_NUMBERS}")
    mine, others = (list(map(chosen_token, signature)) for signature in both)
    same = next((i for i, (a, b) in enumerate(zip(mine, others, strict=False)) if a != b), len(mine))
    detail = f"{name} prompt: {same} of {len(mine)} tokens are the same"
    return Ablation(
        feature=feature, outcome="proven" if mine == others else "unproven", rung=Rung.ABLATION, detail=detail
    )


JUDGES: Final[Mapping[str, Callable[[ComparedPair], Iterator[Prediction]]]] = {
    "indexcache": _judge_indexcache,
    "mtp": _judge_words,
    "chunked_prefill": _judge_words,
    "fp8_kv": _judge_fp8_kv,
}


def _token_bytes(records: Records) -> list[TokenBytes | None]:
    data = [r.data for r in records if isinstance(r, Proof) and r.feature == "kv_layout"]
    return [TokenBytes(low=d["low"], high=d["high"], where="evidence") if "low" in d else None for d in data]


def _signature_source(name: str) -> PredictionSource:
    def read(records: Records) -> list[Logprobs | None]:
        found = [r.data.get("signature") for r in records if isinstance(r, Found) and r.check == f"signature.{name}"]
        return [[likeliest_first(recorded_numbers(p)) for p in positions] if positions else None for positions in found]

    return PredictionSource(f"signature.{name}", read)


def _make_usable(both: Both) -> Both:
    """Drop drafted tokens, which show nothing of attention (see `drop_drafted`)."""
    return drop_drafted(both[0]), drop_drafted(both[1])


SIZE: Final = PredictionSource("kv_layout", _token_bytes)
SHORT, LONG = _signature_source("short"), _signature_source("long")
