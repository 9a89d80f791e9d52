"""Makes one row per cell from records. The tables, the diff and the gate all read it, so that they cannot disagree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matrix.judging.status import GREEN, Status, worst_status
from matrix.wording import list_first
from reports.evidence.attempts import (
    Attempts,
    Retries,
    link_retries,
    order_by_time,
    settle_attempts,
    standing_launches,
    tell_attempts,
)
from reports.evidence.defuse import make_visible
from reports.evidence.lost import count_lost
from reports.evidence.not_evidence import withdraw_empty_passes
from reports.evidence.types import (
    AFTER,
    CRASH,
    ENDED,
    CellFacts,
    Expected,
    Found,
    Kept,
    Launch,
    Lost,
    Measured,
    Proof,
    Record,
    Result,
    Run,
    Stop,
    suite_of,
)

# Measurement names as `vllm bench serve` has them, first match wins; units tok/s and ms.
TOK_S = ("output_throughput", "decode_throughput", "decode_tok_s", "tok_s")
TTFT_MS = ("median_ttft_ms", "p50_ttft_ms", "mean_ttft_ms", "ttft_ms")
SKIPPED = frozenset(
    {
        Status.SKIP_NO_HW,
        Status.INVALID_HW,
        Status.INVALID_ENGINE,
        Status.INVALID_COMBO,
        Status.MISSING,
        Status.NOT_ASKED,
        Status.NOT_RUN_AS_KNOWN,
    }
)
ALONE, NAMED = 5, 10  # absent tests of a cell: so many have a line each, else so many are named in one
QUIET_STOPS = frozenset({"clean", ENDED})
LAUNCHED = frozenset({"before_ready", "first_request", "attach", "relaunch"})  # `at` of a result that tells a launch


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledTest:
    """The result of all attempts at one test of one cell."""

    cell: str
    nodeid: str
    status: Status
    result: Result | None  # the attempt that decided; None: none reported
    findings: tuple[Found, ...] = ()
    attempts: Attempts | None = None  # where it was answered more than once
    told: str = ""  # every one of these answers, with its run

    @property
    def suite(self) -> str:
        return suite_of(self.nodeid)

    @property
    def name(self) -> str:
        """The node id without its file and without the cell, which the reader knows: `test_x[1024-50]`."""
        name = self.nodeid.partition("::")[2] or self.nodeid
        return name.replace(f"[{self.cell}]", "").replace(f"[{self.cell}-", "[").replace(f"-{self.cell}]", "]")

    @property
    def message(self) -> str:
        return self.result.message if self.result else "expected, and no result was recorded"

    @property
    def answers(self) -> tuple[Result, ...]:
        """All answers by time, superseded or not."""
        return self.attempts.all if self.attempts else (self.result,) if self.result else ()

    @property
    def green(self) -> bool:
        return self.status in GREEN

    @property
    def tells_launch(self) -> bool:
        """Whether this test reports why the engine did not start."""
        return not self.green and self.result is not None and self.result.at in LAUNCHED

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on a green test, e.g. that it was slow on the first of two launches."""
        return tuple(f"{f.check}: {f.note}" for f in self.findings if f.note) if self.green else ()


@dataclass(frozen=True, kw_only=True)
class CellRow:
    """One cell: its tests by suite, its launch, its numbers, its proofs."""

    cell: str
    facts: Mapping[str, Any]
    fingerprints: frozenset[str]
    tests: tuple[SettledTest, ...]
    launches: tuple[Launch, ...]  # of this cell or of another with the same fingerprint, by time
    standing: tuple[Launch, ...] = ()  # those of them that no retry supersedes
    expected: tuple[str, ...] = ()  # what must report by the evidence itself: node ids, or names of functions
    owed: tuple[str, ...] = ()  # what must report whatever the evidence says: node ids
    measurements: tuple[Measured, ...] = ()
    proofs: tuple[Proof, ...] = ()
    script: str = ""  # that launches it
    kept: tuple[Kept, ...] = ()  # where what its tests asked and were told is kept
    stops: tuple[Stop, ...] = ()  # how engines of its plans ended when they were stopped, by time

    @property
    def launch(self) -> Launch | None:
        """The last launch that counts, unless one failed: a later start does not excuse it."""
        failed = next((each for each in self.standing if each.outcome != "ok"), None)
        return failed or (self.standing[-1] if self.standing else None)

    @property
    def bad_stops(self) -> tuple[Stop, ...]:
        """How its engines ended that did not end cleanly when they were stopped."""
        return tuple(each for each in self.stops if each.outcome not in QUIET_STOPS)

    @property
    def crashes(self) -> tuple[Launch, ...]:
        """The launches that followed a crash of its engine, or of another cell's with the same plan. A crash that a
        known failure of this cell describes is left out: it is told as that, before the launch that followed it."""
        exits = (r for t in self.tests for r in t.answers if r.status is Status.XFAIL and r.how == "exit")
        known = [(r.run, r.t) for r in exits]
        return tuple(
            each
            for each in self.standing
            if each.data.get(AFTER) == CRASH and not any(run == each.run and t <= each.t for run, t in known)
        )

    @property
    def status(self) -> Status:
        """The worst status of its tests; a mere measurement next to judged tests does not decide for the cell."""
        statuses = {t.status for t in self.tests}
        return worst_status(statuses - {Status.MEASURED} or statuses)

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(sorted(self.facts.get("features", ())))

    def suite(self, name: str) -> tuple[SettledTest, ...]:
        return tuple(t for t in self.tests if t.suite == name)

    def best(self, names: Sequence[str]) -> Measured | None:
        """Return the best of the first named measurement that was taken: the largest tok/s, the smallest time."""
        for name in names:
            found = [m for m in self.measurements if m.name == name]
            if found:
                return (max if names is TOK_S else min)(found, key=lambda m: m.value)
        return None

    @property
    def not_asked(self) -> tuple[SettledTest, ...]:
        """Tests whose engine did not start, for a reason that another test reports."""
        return tuple(t for t in self.tests if t.status is Status.NOT_ASKED)

    @property
    def not_run(self) -> bool:
        """Whether no engine answered, as a known failure predicts: neither passed nor in trouble."""
        told = [t for t in self.tests if t.result]
        return bool(told) and all(t.status is Status.NOT_RUN_AS_KNOWN for t in told)

    @property
    def why_not_run(self) -> str:
        """The message of the known launch failure, from the test that recorded the matching words."""
        return next((t.message for t in self.tests if t.result and t.result.matched), "")

    @property
    def unanswered(self) -> bool:
        """Whether a failed launch left nothing to judge, and some test reports it."""
        failed = self.launch is not None and self.launch.outcome != "ok"
        return failed and all(t.tells_launch or t.status in SKIPPED for t in self.tests)

    @property
    def troubles(self) -> tuple[SettledTest, ...]:
        """Tests that are not green. Unasked tests are merged into one; a cell that did not run as known lists only
        its absent tests."""
        found = tuple(t for t in self.tests if t.result and not (t.green or t.status is Status.NOT_ASKED))
        absent = _roll_up_absent(self.cell, [t for t in self.tests if not t.result])
        return absent if self.not_run else (*found, *_roll_up_repeats(self.cell, self.not_asked), *absent)


@dataclass(frozen=True, kw_only=True)
class Board:
    """All rows and what they have in common. `loose` are results without a cell."""

    rows: tuple[CellRow, ...] = ()
    runs: tuple[Run, ...] = ()
    loose: tuple[Result, ...] = ()
    lost: str = ""  # how many lines of the evidence could not be read, for the headline
    retries: Retries = field(default_factory=Retries)

    @property
    def suites(self) -> tuple[str, ...]:
        """The suites, in the order in which their tests ran."""
        return tuple(dict.fromkeys(t.suite for row in self.rows for t in row.tests))


def _roll_up_repeats(cell: str, tests: Sequence[SettledTest]) -> tuple[SettledTest, ...]:
    """Merge many tests with the same result into one."""
    if len(tests) < 2:
        return tuple(tests)
    first = tests[0]
    return (SettledTest(cell=cell, nodeid=f"{len(tests)} tests", status=first.status, result=first.result),)


def _roll_up_absent(cell: str, tests: Sequence[SettledTest]) -> tuple[SettledTest, ...]:
    """Merge tests without a result, which have only names to report."""
    if len(tests) <= ALONE:
        return tuple(tests)
    names = f"{len(tests)} tests: {list_first([t.name for t in tests], NAMED)}"
    return (SettledTest(cell=cell, nodeid=names, status=Status.MISSING, result=None),)


@dataclass(kw_only=True)
class _Gathered:
    """One cell's records while they are sorted."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    fingerprints: set[str] = field(default_factory=set)
    results: dict[str, list[Result]] = field(default_factory=dict)
    findings: list[Found] = field(default_factory=list)
    expected: dict[str, None] = field(default_factory=dict)
    owed: dict[str, None] = field(default_factory=dict)  # node ids
    measurements: list[Measured] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)
    script: str = ""
    kept: list[Kept] = field(default_factory=list)


def make_board(
    records: Sequence[Record],
    expected: Mapping[str, Mapping[str, Any]] | None = None,
    owed: Mapping[str, Sequence[str]] | None = None,
) -> Board:
    """Make the rows of all cells in the evidence, and of `expected` cells (id -> facts) without any (MISSING).

    `owed` (cell id -> node ids) must report whatever the evidence itself expects.

    In whatever order the records of several runs come: what they say of time decides.
    """
    return make_board_of_visible([make_visible(r) for r in records], expected, owed)


def make_board_of_visible(
    records: Sequence[Record],
    expected: Mapping[str, Mapping[str, Any]] | None = None,
    owed: Mapping[str, Sequence[str]] | None = None,
) -> Board:
    """Make the board as `make_board` does, of records whose texts are visible already."""
    cells: dict[str, _Gathered] = {}
    records = withdraw_empty_passes(order_by_time(records))
    kinds: dict[type[Record], list[Any]] = defaultdict(list)  # one walk over all records, and not one for each question
    into, last = _Gathered(), ""
    for r in records:
        kinds[type(r)].append(r)
        if r.cell:
            if r.cell != last:
                into, last = cells.get(r.cell) or cells.setdefault(r.cell, _Gathered()), r.cell
            _sort_record(into, r)
    # Asked of each cell alone where evidence is large: of what no run retries, nothing more is to be known.
    retries = link_retries(records) if any(r.retry_of for r in kinds[Run]) else Retries()
    for cell, facts in (expected or {}).items():
        found = cells.setdefault(cell, _Gathered())
        found.facts = found.facts or facts
    for cell, tests in (owed or {}).items():
        cells.setdefault(cell, _Gathered()).owed |= dict.fromkeys(tests)
    started = LaunchIndex(kinds[Launch])
    stops: dict[str, list[Stop]] = {}
    for each in kinds[Stop]:
        stops.setdefault(each.fingerprint, []).append(each)
    return Board(
        rows=tuple(_make_row(cell, gathered, started, retries, stops) for cell, gathered in cells.items()),
        runs=tuple(kinds[Run]),
        loose=tuple(r for r in kinds[Result] if not r.cell),
        lost=count_lost(kinds[Lost]),
        retries=retries,
    )


def _sort_record(into: _Gathered, r: Record) -> None:
    if r.fingerprint:
        into.fingerprints.add(r.fingerprint)
    match r:  # the most frequent kinds first
        case Found():
            into.findings.append(r)
        case Measured():
            into.measurements.append(r)
        case Result():
            into.results.setdefault(r.nodeid or r.test, []).append(r)
        case CellFacts():
            into.facts, into.script = r.facts, r.script
        case Expected():
            into.expected |= dict.fromkeys(r.tests)
        case Proof():
            into.proofs.append(r)
        case Kept():
            into.kept.append(r)


class LaunchIndex:
    """The launches of all cells, found by cell or fingerprint."""

    def __init__(self, launches: Sequence[Launch]) -> None:
        self.launches = launches
        self.places: dict[str, list[int]] = {}  # of a cell, or of a fingerprint
        for place, each in enumerate(launches):
            for key in {f"cell {each.cell}", f"fingerprint {each.fingerprint}"}:
                self.places.setdefault(key, []).append(place)

    def list_launches(self, cell: str, fingerprints: Iterable[str]) -> tuple[Launch, ...]:
        """List the launches of a cell or of one of its plans, by time."""
        keys = (f"cell {cell}", *(f"fingerprint {each}" for each in fingerprints))
        return tuple(self.launches[place] for place in sorted({p for key in keys for p in self.places.get(key, ())}))


def _make_row(
    cell: str, found: _Gathered, started: LaunchIndex, retries: Retries, stops: Mapping[str, Sequence[Stop]]
) -> CellRow:
    findings: dict[str, list[Found]] = {}
    for each in found.findings:
        findings.setdefault(each.nodeid, []).append(each)
    tests = [
        _settle_test(cell, nodeid, results, findings.get(nodeid, ()), retries)
        for nodeid, results in found.results.items()
    ]
    reported = set(found.results) | {r.test for rs in found.results.values() for r in rs}
    absent = dict.fromkeys(t for t in found.expected if t not in reported)
    absent |= dict.fromkeys(t for t in found.owed if t not in found.results)
    tests += [SettledTest(cell=cell, nodeid=t, status=Status.MISSING, result=None) for t in absent]
    own = started.list_launches(cell, found.fingerprints)
    return CellRow(
        cell=cell,
        facts=found.facts,
        fingerprints=frozenset(found.fingerprints),
        tests=tuple(tests),
        launches=own,
        standing=standing_launches(own, retries),
        expected=tuple(found.expected),
        owed=tuple(found.owed),
        measurements=tuple(found.measurements),
        proofs=tuple(found.proofs),
        script=found.script,
        kept=tuple(found.kept),
        stops=tuple(each for plan in sorted(found.fingerprints) for each in stops.get(plan, ())),
    )


def _settle_test(
    cell: str, nodeid: str, results: Sequence[Result], findings: Sequence[Found], retries: Retries
) -> SettledTest:
    """Make one status from all attempts, see `reports.evidence.attempts`."""
    if len(results) == 1:  # nearly every test was asked once
        (only,) = results
        own = tuple(f for f in findings if f.run == only.run)
        return SettledTest(cell=cell, nodeid=nodeid, status=only.status, result=only, findings=own)
    attempts = settle_attempts(results, retries)
    decided = attempts.decided
    more = len(attempts.all) > 1
    return SettledTest(
        cell=cell,
        nodeid=nodeid,
        status=attempts.status,
        result=decided,
        findings=tuple(f for f in findings if f.run == decided.run),
        attempts=attempts if more else None,
        told=tell_attempts(attempts, retries) if more else "",
    )
