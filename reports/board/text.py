"""Makes the text of a board: the terminal, Markdown and HTML show the same words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from matrix.judging.status import GREEN, SEVERITY, Status, worst_status
from matrix.model import Cell, Excluded
from matrix.planning.exclusions import Exclusions
from reports.compare.prediction import Prediction
from reports.evidence.asked_again import tell_asked_again
from reports.evidence.summary import TOK_S, TTFT_MS, Board, CellRow, SettledTest
from reports.evidence.types import AFTER, CRASH, Measured, Proof, ProofOutcome
from reports.gate.accepted_identity import gather_cautions
from reports.gate.gate import Reason, Verdict
from reports.ledger.entries import LedgerEntry

# A shape for every status, so that nothing hangs on colour alone.
GLYPHS: Mapping[Status, str] = {
    Status.PASS: "✓",
    Status.MEASURED: "≈",
    Status.XFAIL: "⊘",
    Status.SKIP_NO_HW: "-",
    Status.INVALID_HW: "-",
    Status.INVALID_ENGINE: "-",
    Status.INVALID_COMBO: "-",
    Status.NOT_EVIDENCE: "∅",
    Status.MISSING: "?",
    Status.NOT_ASKED: "◌",
    Status.NOT_RUN_AS_KNOWN: "⊖",
    Status.FLAKE: "~",
    Status.HOST_ERROR: "!",
    Status.TEST_ERROR: "!",
    Status.XPASS: "⊕",
    Status.HANG: "⧖",
    Status.CRASH: "✱",
    Status.FAIL: "✗",
}
NOTHING = "·"
Told = Proof | Prediction


def tone_of(status: Status | None) -> str:
    """Return the colour family of a status: good, plain, noted (a person may want to look), trouble, or quiet."""
    if status is None:
        return "quiet"
    if status in (Status.PASS, Status.MEASURED):
        return "good" if status is Status.PASS else "plain"
    if status in GREEN or status in (Status.FLAKE, Status.NOT_RUN_AS_KNOWN):
        return "noted"
    return "quiet" if GLYPHS[status] == "-" else "trouble"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusTally:
    """One box of the table: the worst status of a suite's tests in a cell, and how many tests have it."""

    status: Status | None
    count: int = 0
    of: int = 0

    @property
    def text(self) -> str:
        if self.status is None:
            return NOTHING
        return f"{self.status} {self.count}" if self.count == self.of else f"{self.status} {self.count}/{self.of}"

    @property
    def short(self) -> str:
        """The count alone: `8` of eight tests, `1/8`."""
        return str(self.count) if self.count == self.of else f"{self.count}/{self.of}"

    @property
    def glyph(self) -> str:
        return GLYPHS[self.status] if self.status else NOTHING

    @property
    def tone(self) -> str:
        return tone_of(self.status)


def count_statuses(tests: Sequence[SettledTest]) -> StatusTally:
    if not tests:
        return StatusTally(status=None)
    status = worst_status(t.status for t in tests)
    return StatusTally(status=status, count=sum(t.status is status for t in tests), of=len(tests))


@dataclass(frozen=True, slots=True, kw_only=True)
class CellJudgement:
    """What the gate says of one cell; without a policy, what its tests say."""

    word: str
    tone: str
    glyph: str
    reasons: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardLine:
    """One cell as a row of the table."""

    row: CellRow
    judgement: CellJudgement
    name: tuple[str, str]  # checkpoint, features
    whole: StatusTally
    suites: tuple[StatusTally, ...]
    launch: str
    tok_s: str
    ttft: str
    proofs: tuple[Told, ...]
    tok_s_at: str = ""  # the conditions of the number, shortest form
    ttft_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseGroup:
    """The cells of one rig and release."""

    title: str
    lines: tuple[BoardLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """All combinations that one rule excludes, with one of its reasons."""

    rule: str
    status: str
    count: int
    example: str
    source: str


@dataclass(frozen=True, kw_only=True)
class View:
    """Everything a report shows."""

    board: Board
    suites: tuple[str, ...]
    groups: tuple[ReleaseGroup, ...]
    counts: tuple[tuple[Status, int], ...]  # cells by status, worst first
    troubles: tuple[tuple[CellRow, tuple[SettledTest, ...]], ...]
    exclusions: tuple[Exclusion, ...] = ()
    verdict: Verdict | None = None
    excluded: int = 0  # on the rigs of the board
    claims: tuple[LedgerEntry, ...] = ()  # every published number, and ours

    @property
    def judged(self) -> tuple[CellRow, ...]:
        """The rows that count: those of the policy's cells; without a policy, all rows."""
        return count_rows(self.board, self.verdict)

    @property
    def reasons(self) -> tuple[tuple[str, tuple[Reason, ...]], ...]:
        """The reasons for red, by cell; reasons about the run come first, under ""."""
        found = self.verdict.reasons if self.verdict else ()
        return tuple((cell, tuple(own)) for cell, own in groupby(found, key=lambda r: r.cell))

    @property
    def rigs(self) -> tuple[str, ...]:
        """The rigs whose cells the report shows, and whose excluded combinations it counts."""
        return name_rigs(self.board.rows)

    @property
    def known(self) -> tuple[tuple[str, int], ...]:
        """The message of each known failure that failed as expected, and the number of its tests."""
        tests = (t for row in self.judged for t in row.tests if t.status is Status.XFAIL)
        return tuple(Counter(t.message for t in tests).items())

    @property
    def not_run(self) -> tuple[tuple[str, str], ...]:
        """The cells without any answer from an engine, as a known failure predicts, with that failure's message."""
        return tuple((row.cell, row.why_not_run) for row in self.judged if row.not_run)

    @property
    def accepted(self) -> tuple[tuple[str, str], ...]:
        """Each accepted difference between an attached server and its cell, as cell and text."""
        return tuple((row.cell, text) for row in self.board.rows for text in gather_cautions(row).values())

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """The predictions about cells that differ in one feature, with their outcomes."""
        return self.verdict.predictions if self.verdict else ()

    @property
    def told(self) -> tuple[str, ...]:
        """Notes that every reader of the verdict needs, green or red."""
        if self.verdict:
            return self.verdict.told  # which has a reason for each cell of two plans
        mixed = (row for row in self.board.rows if len(row.fingerprints) > 1)
        return tuple(
            f"{row.cell}: its answers are of {len(row.fingerprints)} plans ({', '.join(sorted(row.fingerprints))}),"
            " and are no answer about one launch"
            for row in mixed
        )

    @property
    def asked_again(self) -> tuple[tuple[str, str], ...]:
        """Tests with more than one answer, and every answer with its run; tests with equal answers are one entry."""
        return tell_asked_again(self.board.rows)

    @property
    def stopped(self) -> tuple[tuple[str, str], ...]:
        """Each engine that did not end cleanly when it was stopped, once: the first cell of its plan, and how."""
        first: dict[tuple[str, str, str], tuple[str, str]] = {}
        for row in self.board.rows:
            for each in row.bad_stops:
                first.setdefault((each.run, each.fingerprint, each.message), (row.cell, each.message))
        return tuple(first.values())

    @property
    def relaunched(self) -> tuple[tuple[str, str], ...]:
        """Each launch that followed a crash, once: the cell whose test asked for it, and its message."""
        launches = (each for row in self.board.rows for each in row.launches if each.data.get(AFTER) == CRASH)
        return tuple(dict.fromkeys((each.cell, each.message) for each in launches))

    @property
    def noted(self) -> tuple[SettledTest, ...]:
        """Green tests with a note."""
        return tuple(t for row in self.judged for t in row.tests if t.notes)


def name_rigs(rows: Iterable[CellRow]) -> tuple[str, ...]:
    """Name the rigs of these rows, each once."""
    return tuple(dict.fromkeys(str(row.facts["rig"]) for row in rows if "rig" in row.facts))


def count_rows(board: Board, verdict: Verdict | None) -> tuple[CellRow, ...]:
    """Select the rows that a report counts: cells outside the policy make a verdict neither better nor worse."""
    if verdict is None:
        return board.rows
    required = {row.cell for row in verdict.rows}
    return tuple(row for row in board.rows if row.cell in required)


def make_view(
    board: Board,
    verdict: Verdict | None = None,
    excluded: Mapping[Cell, Excluded] | None = None,
    claims: Sequence[LedgerEntry] = (),
) -> View:
    suites = board.suites
    counts = Counter(row.status for row in count_rows(board, verdict))
    predicted = [p for p in (verdict.predictions if verdict else ()) if p.of_effect and p.outcome == "proven"]
    judge = Judging(verdict)
    proven: dict[str, list[Prediction]] = {}
    for each in predicted:
        proven.setdefault(each.cell, []).append(each)
    groups = groupby(sort_rows(board.rows), key=lambda row: _sort_key(row)[0])
    return View(
        board=board,
        suites=suites,
        groups=tuple(
            ReleaseGroup(title=title, lines=tuple(_make_line(r, suites, proven.get(r.cell, ()), judge) for r in rows))
            for title, rows in groups
        ),
        counts=tuple((s, counts[s]) for s in SEVERITY if counts[s]),
        troubles=tuple((row, row.troubles) for row in board.rows if row.troubles),
        exclusions=tuple(_group_exclusions(excluded or {})),
        verdict=verdict,
        excluded=len(excluded or {}),
        claims=tuple(claims),
    )


class Judging:
    """Judges rows as the gate did."""

    def __init__(self, verdict: Verdict | None) -> None:
        self.required = {row.cell for row in verdict.rows} if verdict else set()
        self.reasons = Counter(reason.cell for reason in verdict.reasons) if verdict else Counter[str]()

    def judge_row(self, row: CellRow) -> CellJudgement:
        """Judge one row. Its tests speak where no policy requires the cell."""
        if row.cell not in self.required:
            return CellJudgement(word=row.status, tone=tone_of(row.status), glyph=GLYPHS[row.status])
        if count := self.reasons[row.cell]:
            return CellJudgement(word="RED", tone="trouble", glyph="✗", reasons=count)
        if row.not_run:
            return CellJudgement(word="NOT RUN", tone="noted", glyph=GLYPHS[Status.NOT_RUN_AS_KNOWN])
        return CellJudgement(word="GREEN", tone="good", glyph="✓")


def sort_rows(rows: Iterable[CellRow]) -> list[CellRow]:
    """Sort rows as every report lists them: by rig and release, checkpoint, number of features."""
    return sorted(rows, key=_sort_key)


def _sort_key(row: CellRow) -> tuple[str, str, int, tuple[str, ...]]:
    where = " · ".join(str(row.facts[k]) for k in ("rig", "release") if k in row.facts)
    return where or "cells without facts", str(row.facts.get("checkpoint", row.cell)), len(row.features), row.features


def _make_line(row: CellRow, suites: Sequence[str], predicted: Sequence[Prediction], judge: Judging) -> BoardLine:
    launch = row.launch
    by_suite: dict[str, list[SettledTest]] = {}
    for test in row.tests:
        by_suite.setdefault(test.suite, []).append(test)
    tok_s, ttft = row.best(TOK_S), row.best(TTFT_MS)
    known = "checkpoint" in row.facts
    return BoardLine(
        row=row,
        name=(str(row.facts["checkpoint"]), " + ".join(row.features) or "baseline") if known else (row.cell, ""),
        whole=StatusTally(status=row.status, count=1, of=1),
        suites=tuple(count_statuses(by_suite.get(name, ())) for name in suites),
        launch=NOTHING
        if launch is None
        else format_seconds(launch.launch_s)
        if launch.outcome == "ok"
        else launch.outcome,
        judgement=judge.judge_row(row),
        tok_s=_format_number(tok_s),
        ttft=_format_number(ttft, " ms"),
        tok_s_at=format_conditions(tok_s),
        ttft_at=format_conditions(ttft),
        proofs=pick_decisive_proofs([*row.proofs, *predicted]),
    )


def format_conditions(found: Measured | None) -> str:
    """Format the load under which a number was measured: `c=2, 4.6k in`."""
    if found is None:
        return ""
    streams, tokens = found.conditions.get("concurrency"), found.conditions.get("input_len")
    told = [] if streams is None else [f"c={streams}"]
    if tokens is not None:
        told.append(f"{tokens / 1000:.3g}k in" if isinstance(tokens, int) and tokens >= 1000 else f"{tokens} in")
    return ", ".join(told)


def _format_number(found: Measured | None, unit: str = "") -> str:
    return f"{found.value:,.{0 if found.value >= 100 else 1}f}{unit}" if found else NOTHING


def format_seconds(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.1f} s" if value < 100 else f"{value / 60:.1f} min"


def _group_exclusions(excluded: Mapping[Cell, Excluded]) -> list[Exclusion]:
    counted = excluded.grouped() if isinstance(excluded, Exclusions) else ((e, 1) for e in excluded.values())
    by_rule: dict[tuple[str, str], tuple[Excluded, int]] = {}
    for reason, count in counted:
        first, so_far = by_rule.get((reason.rule, reason.status), (reason, 0))
        by_rule[reason.rule, reason.status] = (first, so_far + count)
    found = [
        Exclusion(rule=rule, status=status, count=count, example=first.reason, source=first.source)
        for (rule, status), (first, count) in by_rule.items()
    ]
    return sorted(found, key=lambda e: (-e.count, e.rule))


def make_headline(shown: View) -> str:
    """Summarise the report in one line. A cell with a reason for red has not passed, whatever its tests report."""
    judged = shown.judged
    rows = [row for row in judged if not row.not_run]
    red = {reason.cell for reason in shown.verdict.reasons} if shown.verdict else set()
    slow = shown.verdict.speed_unasked if shown.verdict else frozenset()
    passed = [row for row in rows if row.status in GREEN or (row.status is Status.MISSING and row.cell in slow)]
    green = sum(row.cell not in red for row in passed)
    cells = f"{green} of {len(rows)} cells passed what they ran"
    cells += f", the speed of {len(slow)} was not asked" if slow else ""
    if missing := len(judged) - len(rows):
        cells += f", {missing} {'cells' if missing != 1 else 'cell'} did not run, as known"
    cells += f", {len(noted)} with a note" if (noted := {t.cell for t in shown.noted}) else ""
    cells += f", {others} not of this policy" if (others := len(shown.board.rows) - len(judged)) else ""
    if differing := {cell for cell, _ in shown.accepted}:
        cells += f", {len(differing)} asked of another server, as accepted"
    cells += shown.board.lost
    if shown.verdict is None:
        return cells
    if count := shown.verdict.not_replayed:
        cells += f", {count} not judged again from {'their' if count != 1 else 'its'} replies"
    if left := shown.verdict.left_out:
        cells += f", {left} required {'cells were' if left != 1 else 'cell was'} not judged (--selected-only)"
    if shown.verdict.green:
        return f"GREEN: {shown.verdict.policy.title}; {cells}"
    count = len(shown.verdict.reasons)
    return f"RED: {shown.verdict.policy.title}; {cells}, {count} reason{'s' if count != 1 else ''}"


# What speaks for a feature that several tests looked at: a refutation stands, else any proof, else that there is none.
SPEAKS: tuple[ProofOutcome, ...] = ("refuted", "proven", "unproven")


def pick_decisive_proofs(proofs: Sequence[Told]) -> tuple[Told, ...]:
    """Pick one proof per feature, in the order in which tests first looked at the features."""
    found: dict[str, Told] = {}
    for proof in proofs:
        old = found.get(proof.feature)
        if old is None or SPEAKS.index(proof.outcome) < SPEAKS.index(old.outcome):
            found[proof.feature] = proof
    return tuple(found.values())
