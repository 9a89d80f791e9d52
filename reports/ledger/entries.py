"""Judges each published number: its conditions, what we measured under them, the ratio and a verdict. Pure.

A load repeats a claim where rig, release, checkpoint and features are the claim's and a load has every condition. A
number under a condition that no load repeats is not measured, and the entry names the condition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, Literal

from matrix.judging.published import compute_decode_limit, is_near_claim
from matrix.model import Cell
from matrix.planning.by_condition import ConditionNarrowing
from matrix.planning.expand import find_cell, list_exclusions, list_runnable
from matrix.recorded import Claim, Measurement
from matrix.yaml.loaded import Matrix
from reports.evidence.types import Launch, Measured, Proof, Record

Verdict = Literal[
    "reproduced", "not reproduced", "above the roofline", "not caused by the named feature", "not measured"
]
VERDICTS: Final[tuple[Verdict, ...]] = (
    "above the roofline",
    "not caused by the named feature",
    "not reproduced",
    "reproduced",
    "not measured",
)
# A claim's metric -> our measurement, its conversion, and whether more is better.
Convert = Callable[[float], float]
COMPARED: Final[Mapping[str, tuple[tuple[str, ...], Convert, bool]]] = {
    "output_throughput": (("output_throughput",), float, True),
    "output_throughput_sustained": (("output_throughput",), float, True),
    "decode_throughput": (("median_tpot_ms",), lambda ms: 1000 / ms, True),
    "mean_tpot": (("mean_tpot_ms", "median_tpot_ms"), float, False),
    "p99_itl": (("p99_itl_ms",), float, False),
    "prefill_throughput_cold": (("prefill_cold_tps",), float, True),
}
NOT_COMPARABLE: Final[Mapping[str, str]] = {
    "mean_ttft": "a published TTFT measures queue or cache",
    "ttft_warm": "a warm TTFT measures the prefix cache",
    "speedup": "a ratio of two cells; `glm-matrix ablation` shows ours",
}
INPUT: Final = ("input_tokens", "prompt_tokens", "context_tokens")  # a claim names the prompt's length by one of these
UNDERSTOOD: Final = frozenset({*INPUT, "concurrency", "output_tokens", "dataset", "warmup", "repetitions"})
INPUT_ROOM: Final = 0.10  # banks make prompts of about a length
DECODE: Final[Mapping[str, Convert]] = {"decode_throughput": float, "mean_tpot": lambda ms: 1000 / ms}
TOKENS_PER_S: Final = frozenset({"output_throughput", "output_throughput_sustained"})
DRAFTS: Final = "mtp"
BASELINE: Final = "baseline"  # in an id: without features


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """Our number under a claim's conditions: the median over launches."""

    cell: str
    value: float
    launches: int
    name: str  # of the measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One published number. `why` explains the verdict."""

    claim: str
    title: str
    source: str
    disputed: str
    metric: str
    value: float
    high: float | None
    unit: str
    conditions: Mapping[str, Any]
    ours: Ours | None
    verdict: Verdict
    why: str

    @property
    def ratio(self) -> float | None:
        """Ours over the published number; over the nearest value of a published range."""
        return divide_by_claim(self.ours.value, self.value, self.high) if self.ours else None


def list_entries(matrix: Matrix, cells: Iterable[Cell], records: Sequence[Record]) -> tuple[LedgerEntry, ...]:
    """List every published number of the matrix, in file order. `cells` are the cells of today's matrix that could
    have been measured; only real engines count."""
    numbers = _gather_numbers(records)
    refuted = frozenset((r.cell, r.feature) for r in records if isinstance(r, Proof) and r.outcome == "refuted")
    judging, known = _ClaimJudging(matrix=matrix, numbers=numbers, refuted=refuted), list(cells)
    claims = ((loaded.value, [c for c in known if loaded.condition(c.facts)]) for loaded in matrix.claims)
    return tuple(judging.judge(claim, each, own) for claim, own in claims for each in claim.measurements)


Numbers = Mapping[str, Sequence[Measured]]  # by cell


def _gather_numbers(records: Sequence[Record]) -> Numbers:
    """Gather the measurements of fit clients on real engines, by cell."""
    stubs = {(r.run, r.cell) for r in records if isinstance(r, Launch) and r.stub}
    found: dict[str, list[Measured]] = {}
    for r in records:
        if isinstance(r, Measured) and (r.run, r.cell) not in stubs and r.conditions.get("client_fit") is not False:
            found.setdefault(r.cell, []).append(r)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClaimJudging:
    """What every number is judged by."""

    matrix: Matrix
    numbers: Numbers
    refuted: frozenset[tuple[str, str]]  # cell and feature

    def judge(self, claim: Claim, published: Measurement, cells: Sequence[Cell]) -> LedgerEntry:
        """Judge one number; `cells` are those of the claim."""
        fitting = [c for c in cells if _has_features(self.matrix, published, c)]
        odd = sorted(published.conditions.keys() - UNDERSTOOD - self.matrix.features.keys())
        ours = None if odd else _find_ours(published, fitting, self.numbers)
        verdict, why = self._decide(claim, published, ours) or (
            "not measured",
            _explain_missing(published, odd, fitting, self.numbers) or _name_excluded(self.matrix, claim),
        )
        return LedgerEntry(
            claim=claim.id,
            title=claim.title,
            source=claim.source,
            disputed=claim.disputed,
            metric=published.metric,
            value=published.value,
            high=published.high,
            unit=published.unit,
            conditions=published.conditions,
            ours=ours,
            verdict=verdict,
            why=why,
        )

    def _decide(self, claim: Claim, published: Measurement, ours: Ours | None) -> tuple[Verdict, str] | None:
        """Decide by physics, by the cause, by our number, in this order; None where nothing is known."""
        if why := _tell_impossible(self.matrix, claim, published):
            return "above the roofline", why
        if inert := [f for f in claim.inert if published.conditions.get(f, True)]:
            return "not caused by the named feature", f"{', '.join(inert)} had no effect there: {claim.disputed}"
        if ours is None:
            return None
        if without := [
            f for f, value in published.conditions.items() if value is True and (ours.cell, f) in self.refuted
        ]:
            return "not caused by the named feature", f"our run refutes {', '.join(without)} in {ours.cell}"
        more_is_better = COMPARED[published.metric][2]
        ratio = divide_by_claim(ours.value, published.value, published.high)
        near = is_near_claim(ratio, more_is_better=more_is_better)
        return ("reproduced" if near else "not reproduced"), f"{ratio:.2f} of it, {ours.name} of {ours.cell}"


def _has_features(matrix: Matrix, published: Measurement, cell: Cell) -> bool:
    """Return whether the cell has the features that the conditions ask for, and none that they exclude."""
    named = {name: bool(value) for name, value in published.conditions.items() if name in matrix.features}
    return all((name in cell.features) == wanted for name, wanted in named.items())


def _find_ours(published: Measurement, cells: Sequence[Cell], numbers: Numbers) -> Ours | None:
    if published.metric not in COMPARED:
        return None
    names, convert, more_is_better = COMPARED[published.metric]
    found: list[Ours] = []
    for cell in cells:
        own = [m for m in numbers.get(cell.id, ()) if m.value and _repeats(published.conditions, m.conditions)]
        name = next((n for n in names if any(m.name == n for m in own)), "")
        values = [convert(m.value) for m in own if m.name == name]
        if values:
            found.append(Ours(cell=cell.id, value=median(values), launches=len(values), name=name))
    return (max if more_is_better else min)(found, key=lambda o: o.value, default=None)


def _repeats(wanted: Mapping[str, Any], seen: Mapping[str, Any]) -> bool:
    asked = next((wanted[name] for name in INPUT if name in wanted), None)
    mine = seen.get("input_len")
    if asked is None or not isinstance(mine, int | float) or abs(mine / asked - 1) > INPUT_ROOM:
        return False
    same = wanted.get("concurrency", seen.get("concurrency")) == seen.get("concurrency")
    return bool(same and wanted.get("output_tokens", seen.get("output_len")) == seen.get("output_len"))


def divide_by_claim(value: float, low: float, high: float | None) -> float:
    """Divide ours by the published number; inside a published range the ratio is 1."""
    return value / (min(max(low, value), high) if high else low)


def _tell_impossible(matrix: Matrix, claim: Claim, published: Measurement) -> str:
    """Tell why memory bandwidth forbids the number; empty where it does not, or the limit is not known."""
    streams = published.conditions.get("concurrency")
    rig = matrix.rigs.get(str(claim.when.get("rig")))
    checkpoint = matrix.checkpoints.get(str(claim.when.get("checkpoint")))
    if rig is None or checkpoint is None:
        return ""
    drafts = bool(published.conditions.get(DRAFTS, DRAFTS not in _list_of(claim.when.get("without"))))
    limit = compute_decode_limit(rig, checkpoint, drafts=drafts)
    speed = _speed_of_one(published, streams)
    if limit is None or speed is None or speed <= limit:
        return ""
    return f"{speed:.4g} tok/s of one stream, and {rig.id} can read its active weights {limit:.4g} times a second"


def _speed_of_one(published: Measurement, streams: Any) -> float | None:
    """Compute the decode speed of one stream, in tok/s; None where the number is none."""
    top = published.high or published.value
    if published.metric in DECODE and top:
        return DECODE[published.metric](top)
    if published.metric in TOKENS_PER_S and isinstance(streams, int) and streams:
        return top / streams
    return None


def _list_of(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _explain_missing(published: Measurement, odd: Sequence[str], cells: Sequence[Cell], numbers: Numbers) -> str:
    """Explain why nothing of ours stands beside a number; empty where no cell could be measured."""
    if why := NOT_COMPARABLE.get(published.metric):
        return why
    if published.metric not in COMPARED:
        return "no suite measures it"
    if odd:
        return f"no load repeats its {', '.join(odd)}"
    if not cells:
        return ""
    if not any(c.id in numbers for c in cells):
        return f"no such cell has run here, e.g. {cells[0].id}"
    return "the cell has run, and not with this load"


def _name_excluded(matrix: Matrix, claim: Claim) -> str:
    """Name the cell without features that a claim is about, and the rule that excludes it."""
    wanted = [str(claim.when.get(name)) for name in ("rig", "release", "checkpoint")]
    base = find_cell(matrix, ".".join((*wanted, BASELINE)))
    if base is None or not (found := list_exclusions(matrix, base)):
        return "no cell of today's matrix is what it is about"
    return f"{base.id} cannot be run: rule {found[0].rule} (`glm-matrix why-not {base.id}`)"


def list_claimable(matrix: Matrix) -> tuple[Cell, ...]:
    """List the runnable cells that somebody claims something of, and plan no others."""
    claimed = ConditionNarrowing(conditions=tuple(loaded.condition for loaded in matrix.claims))
    return list_runnable(matrix, claimed)


def count_verdicts(entries: Iterable[LedgerEntry]) -> Iterator[tuple[Verdict, int]]:
    """Yield each verdict that occurs with its number of entries, the worst first."""
    found = [e.verdict for e in entries]
    yield from ((verdict, found.count(verdict)) for verdict in VERDICTS if verdict in found)
