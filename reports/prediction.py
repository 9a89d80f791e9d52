"""Two cells of the evidence that differ in one feature: does the feature do what is predicted of it, and nothing else?

    indexcache             fewer bytes per KV token, by the shared layers' keys; other numbers beyond index_topk only
    fp8_kv                 fewer bytes per KV token, by the difference of the two layouts
    mtp, chunked_prefill   the same words

The ablation rung of the ladder, judged from what the cells recorded; nothing is launched again. Speed is not judged:
one launch beside another proves no speed-up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matrix.expand import expand
from matrix.kv_reading import TokenBytes, predicted
from matrix.load import Matrix
from matrix.logprobs import Logprobs, changes_only_beyond, likeliest_first
from matrix.model import Cell
from matrix.plan import plan
from matrix.proof import sizes
from matrix.proof.outcome import Outcome
from matrix.requested import Requested, requested
from reports.record import Found, Proof, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One prediction about `cell` beside `without`, the same cell without `feature`."""

    cell: str
    without: str
    feature: str
    what: str  # bytes, numbers, words
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A cell with the feature and one without, and what each recorded."""

    cell: Cell
    without: Cell
    feature: str
    records: Mapping[str, Sequence[Record]]

    def both(self, read: Callable[[Sequence[Record]], Any]) -> tuple[Any, Any] | None:
        """What both recorded, the cell's first; None where one of them has nothing."""
        found = [read(self.records[c.id]) for c in (self.cell, self.without)]
        return None if None in found else (found[0], found[1])


def predictions(records: Sequence[Record], matrix: Matrix) -> tuple[Prediction, ...]:
    """Every prediction about every pair of recorded cells that the records are enough for."""
    by_cell: dict[str, list[Record]] = {}
    for record in records:
        by_cell.setdefault(record.cell, []).append(record)
    cells = {_place(c, c.features): c for c in expand(matrix).runnable if c.id in by_cell}
    pairs = (
        Pair(cell=cell, without=other, feature=feature, records=by_cell)
        for cell in cells.values()
        for feature in sorted(cell.features)
        if (other := cells.get(_place(cell, cell.features - {feature})))
    )
    return tuple(found for pair in pairs for found in JUDGES[pair.feature](pair, matrix))


def _place(cell: Cell, features: frozenset[str]) -> tuple[str, str, str, frozenset[str]]:
    return cell.rig.id, cell.release.id, cell.checkpoint.id, features


def _indexcache(pair: Pair, matrix: Matrix) -> Iterator[Prediction]:
    if measured := pair.both(_token_bytes):
        wanted = requested(plan(matrix, pair.cell))
        yield from (_made(pair, "bytes", p.outcome, p.detail) for p in sizes.by_ablation(wanted, *measured))
    short, long = pair.both(_signature("short")), pair.both(_signature("long"))
    if short and long:
        found = changes_only_beyond(short, long)
        yield _made(pair, "numbers", found.outcome, found.detail)


def _fp8_kv(pair: Pair, matrix: Matrix) -> Iterator[Prediction]:
    if measured := pair.both(_token_bytes):
        size, without = (_expected_bytes(requested(plan(matrix, c))) for c in (pair.cell, pair.without))
        found = sizes.fewer_bytes(pair.feature, without - size, *measured)
        yield _made(pair, "bytes", found.outcome, found.detail)


def _expected_bytes(wanted: Requested) -> int:
    assert wanted.layout is not None  # every plan of a canary says its layout
    return predicted(wanted, wanted.layout, wanted.full_layers)


def _words(pair: Pair, _: Matrix) -> Iterator[Prediction]:
    """Greedy decoding may change at a near tie of two tokens, so that other words are no refutation."""
    for name in ("short", "long"):
        if signatures := pair.both(_signature(name)):
            mine, others = ([next(iter(position)) for position in s] for s in signatures)
            same = next((i for i, (a, b) in enumerate(zip(mine, others, strict=False)) if a != b), len(mine))
            detail = f"{name} prompt: {same} of {len(mine)} tokens are the same"
            yield _made(pair, "words", "proven" if mine == others else "unproven", detail)


JUDGES: Mapping[str, Callable[[Pair, Matrix], Iterator[Prediction]]] = {
    "indexcache": _indexcache, "mtp": _words, "chunked_prefill": _words, "fp8_kv": _fp8_kv,
}  # fmt: skip


def _made(pair: Pair, what: str, outcome: Outcome, detail: str) -> Prediction:
    return Prediction(
        cell=pair.cell.id, without=pair.without.id, feature=pair.feature, what=what, outcome=outcome, detail=detail
    )


def _token_bytes(records: Sequence[Record]) -> TokenBytes | None:
    found = (r.data for r in records if isinstance(r, Proof) and r.feature == "kv_layout" and "low" in r.data)
    data = next(found, None)
    return None if data is None else TokenBytes(low=data["low"], high=data["high"], where="evidence")


def _signature(name: str) -> Callable[[Sequence[Record]], Logprobs | None]:
    def read(records: Sequence[Record]) -> Logprobs | None:
        found = (r.data.get("signature") for r in records if isinstance(r, Found) and r.check == f"signature.{name}")
        positions = next((s for s in found if s), None)
        return None if positions is None else [likeliest_first(p) for p in positions]

    return read
