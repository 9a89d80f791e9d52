"""Makes the statement of one cell from sealed evidence. Pure: the same evidence and dates give the same bytes.

The form is in-toto's Statement v1 with the predicate test-result v0.1. Fields that it lacks stand under `glmMatrix`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from statistics import median
from typing import Any, Final

from matrix.judging.status import GREEN, Status
from matrix.planning.owed import FIRST
from matrix.yaml.known_shape import LONGEST
from reports.certify.speed import FIELD, NOT_ASKED, UnaskedSpeed, list_left_out, list_unasked_tests
from reports.evidence.attempts import split_runs
from reports.evidence.continuations import link_continuations
from reports.evidence.files import digest_value, is_sealed
from reports.evidence.summary import CellRow, make_board
from reports.evidence.types import CellFacts, Found, Kept, Measured, Record, Run, as_json_data
from reports.gate.allowed import (
    CRASHED,
    count_met_ends,
    find_stopping,
    find_unmet_ends,
    find_untold_stops,
    has_crashed,
)

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://in-toto.io/attestation/test-result/v0.1"
SCHEMA: Final = 2  # 2: script, and the day of the last answer
WITHOUT_SPEED: Final = 3  # only where a speed was not asked, of which an earlier reader knows nothing
WARNED: Final = frozenset({Status.XFAIL, Status.FLAKE})
PASSED: Final = frozenset({Status.PASS, Status.MEASURED})
Json = Any


class NotCertifiable(ValueError):
    """The evidence of a cell supports no certificate; the text names the reason."""


def list_cells(records: Sequence[Record]) -> list[str]:
    """List the cells that have evidence, in its order."""
    return list(dict.fromkeys(r.cell for r in records if isinstance(r, CellFacts)))


def make_statement(
    records: Sequence[Record], cell: str, *, issued: date, expires: date, unasked: UnaskedSpeed | None = None
) -> Mapping[str, Json]:
    """Make the statement of one cell, see `Statements.make`."""
    return Statements(records).make(cell, issued=issued, expires=expires, unasked=unasked)


class Statements:
    """Makes statements of the cells of some evidence, which is settled and whose seals are checked once."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.rows = {row.cell: row for row in make_board(records).rows}
        self.runs = {r.run: r for r in records if isinstance(r, Run)}
        continued = link_continuations(records).continued  # parts without an end, for which the last one's link vouches
        self.unsealed = {run for run, own in split_runs(records).items() if not is_sealed(own) and run not in continued}
        self._stopping, self._met = find_stopping(records), count_met_ends(records)
        self._own: dict[str, list[Record]] = {}
        for r in records:
            self._own.setdefault(r.cell, []).append(r)

    def make(
        self, cell: str, *, issued: date, expires: date, unasked: UnaskedSpeed | None = None
    ) -> Mapping[str, Json]:
        """Make the statement of a cell, see `CellEvidence.make`."""
        return self.find(cell).make(issued=issued, expires=expires, unasked=unasked)

    def find(self, cell: str) -> CellEvidence:
        """Find what a statement of the cell is made from.

        Raises:
            NotCertifiable: there is none.
        """
        if cell not in self.rows:
            raise NotCertifiable(f"there is no evidence of {cell}")
        row = self.rows[cell]
        crashed = (("", f"its engine {CRASHED}: {s.message}.") for s in row.stops if has_crashed(s))
        ends = (*find_untold_stops(row, self._stopping), *find_unmet_ends(row, self._met), *crashed)
        end = next((text for _, text in ends), "")
        return CellEvidence(row=row, own=self._own[cell], runs=self.runs, unsealed=self.unsealed, end=end)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellEvidence:
    """What a statement of one cell is made from."""

    row: CellRow
    own: Sequence[Record]  # of the cell, its launches among them, as they were written
    runs: Mapping[str, Run]  # of all the evidence
    unsealed: Collection[str]  # of them
    end: str = ""  # what no certificate can stand on: an engine that died where no test met it, or an end untold

    def make(self, *, issued: date, expires: date, unasked: UnaskedSpeed | None = None) -> Mapping[str, Json]:
        """Make the statement of the cell. `unasked`: who says that its speed was not asked, where it was not.

        Raises:
            NotCertifiable: a run is not sealed, is of a dirty tree or asked less than a cell alone owes, a stub
                answered, the cell has several plans or no launch, or it would say for too long that no speed was asked.
        """
        row, own, cell = self.row, self.own, self.row.cell
        runs = {run: self.runs[run] for run in dict.fromkeys(r.run for r in own) if run in self.runs}
        _require_sound(row, set(self.unsealed) & {r.run for r in own})
        if shallow := sorted(run for run, start in runs.items() if start.depth == FIRST):
            raise NotCertifiable(
                f"run {shallow[0]} asked at depth {FIRST}, at which another cell may answer for {cell}:"
                " a certificate stands alone, run it with --depth quick"
            )
        if changed := sorted(run for run, start in runs.items() if start.dirty or start.diff_sha256):
            raise NotCertifiable(
                f"run {changed[0]} is of a dirty tree: a certificate names the commit that ran, and other files did."
                " Commit them and run again"
            )
        if self.end:
            raise NotCertifiable(f"{cell}: {self.end}")
        facts = next((r for r in own if isinstance(r, CellFacts)), None)
        if facts is None:
            raise NotCertifiable(f"the evidence does not say what {cell} is")
        left_out = list_unasked_tests(row, own) if unasked else ()
        if left_out and expires - issued > LONGEST:
            raise NotCertifiable(f"its speed was not asked, which may be said for {LONGEST.days} days at most")
        made = {
            "_type": STATEMENT,
            "subject": list(_make_subjects(row, facts)),
            "predicateType": PREDICATE,
            "predicate": {
                "result": _result_of(row, left_out),
                "configuration": list(_make_configuration(own, runs)),
                **_name_tests(row, left_out),
                "glmMatrix": {
                    "schema": WITHOUT_SPEED if left_out else SCHEMA,
                    "issued": issued.isoformat(),
                    "expires": expires.isoformat(),
                    "cell": cell,
                    "facts": facts.facts,
                    "fingerprint": facts.fingerprint,
                    "script": facts.script,
                    "ran": max(t.result.t for t in row.tests if t.result).date().isoformat(),
                    "statuses": {t.nodeid: t.status for t in row.tests},
                    "proofs": {p.feature: p.outcome for p in row.proofs},
                    "numbers": list(_make_numbers(row)),
                    "versions": row.launch.versions if row.launch else {},
                    "hosts": {run: r.host for run, r in runs.items()},
                    **({FIELD: {**asdict(unasked), "tests": left_out}} if unasked and left_out else {}),
                },
            },
        }
        data: Mapping[str, Json] = as_json_data(made)
        return data


def format_statement(statement: Mapping[str, Json]) -> bytes:
    """Format a statement as its file holds it: sorted keys, one object."""
    # Of one form, since a signature and a registry's check hold its bytes.
    return json.dumps(statement, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def _require_sound(row: CellRow, unsealed: Collection[str]) -> None:
    if unsealed:
        raise NotCertifiable(f"run {min(unsealed)} is not sealed")
    if row.launch is None or not any(t.result for t in row.tests):
        raise NotCertifiable(f"no engine of {row.cell} answered")
    if any(launch.stub for launch in row.launches):
        raise NotCertifiable(f"a stub engine answered for {row.cell}")
    # A certificate names one launch script; which of two the answers are of could not be told.
    if len(row.fingerprints) != 1:
        raise NotCertifiable(f"the evidence of {row.cell} is of {len(row.fingerprints)} plans")


def _make_subjects(row: CellRow, facts: CellFacts) -> Iterator[Mapping[str, Json]]:
    """Name what was tested: the cell's facts and script, and the image where one was launched."""
    digest = facts.sha256 or digest_value({"facts": facts.facts, "script": facts.script})
    yield {"name": f"cell:{row.cell}", "digest": {"sha256": digest}}
    # By digest only: a tag can be moved to something else after the test.
    image = str(row.launch.versions.get("image_digest") or "") if row.launch else ""
    if (sha := image.rpartition("sha256:")[2]) and image:
        yield {"name": f"image:{image.partition('@')[0]}", "digest": {"sha256": sha}}


def _make_configuration(own: Sequence[Record], runs: Mapping[str, Run]) -> Iterator[Mapping[str, Json]]:
    """Name what it was tested with: source, matrix, prompts and kept replies, each by digest."""
    for run in runs.values():
        if run.commit:
            yield {"name": f"source:{run.run}", "digest": {"gitCommit": run.commit}}
        if run.matrix_sha256:
            yield {"name": f"matrix:{run.run}", "digest": {"sha256": run.matrix_sha256}}
    prompts = sorted(
        {str(r.data["prompt_sha256"]) for r in own if isinstance(r, Found) and r.data.get("prompt_sha256")}
    )
    # One digest for all of them: each cell is asked dozens, and the findings say which one differs.
    if prompts:
        yield {"name": "prompts", "digest": {"sha256": digest_value({"prompts": prompts})}}
    for r in own:
        if isinstance(r, Kept) and r.sha256:
            yield {"name": f"replies:{r.run}:{r.nodeid}", "digest": {"sha256": r.sha256}}


def _result_of(row: CellRow, left_out: Collection[str]) -> str:
    judged = [t for t in row.tests if t.nodeid not in left_out]
    if any(t.status not in GREEN | WARNED for t in judged) or any(p.outcome == "refuted" for p in row.proofs):
        return "FAILED"
    if row.crashes:  # of the same plan, if not in one of its own tests
        return "FAILED"
    # A feature that was asked for and that nothing proves may be off: every answer is right without it, too. And who
    # reads no more than PASSED takes it for the whole cell, its speed included.
    proven = {p.feature for p in row.proofs if p.outcome == "proven"}
    warned = any(t.status in WARNED for t in judged) or bool(set(row.features) - proven or left_out)
    return "WARNED" if warned else "PASSED"


def tell_result(statement: Mapping[str, Json]) -> str:
    """Tell a statement's result, with what it rests on where it is not PASSED: a cell of a run that was cut has answers
    that are missing, and one whose answers were wrong has failures."""
    predicate = statement["predicate"]
    own = predicate["glmMatrix"]
    left_out = list_left_out(own)
    counts = Counter(str(s) for test, s in own["statuses"].items() if s not in PASSED and test not in left_out)
    unproven = [f for f in own["facts"].get("features", ()) if own["proofs"].get(f) != "proven"]
    said = [*(f"{count} {status}" for status, count in sorted(counts.items())), *([NOT_ASKED] if left_out else [])]
    said += [f"{', '.join(unproven)} not proven"] if unproven else []
    return f"{predicate['result']} ({', '.join(said)})" if said else str(predicate["result"])


def _name_tests(row: CellRow, left_out: Collection[str]) -> Mapping[str, list[str]]:
    warned = [t.nodeid for t in row.tests if t.status in WARNED or t.nodeid in left_out]
    return {
        "passedTests": [t.nodeid for t in row.tests if t.status in PASSED],
        "warnedTests": warned,
        "failedTests": [t.nodeid for t in row.tests if t.status not in PASSED and t.nodeid not in warned],
    }


def _make_numbers(row: CellRow) -> Iterator[Mapping[str, Json]]:
    """Give each number as median with its smallest and largest value."""
    found: dict[tuple[str, str, str], list[Measured]] = {}
    for m in row.measurements:
        # The attempt is no condition of what was measured: two attempts are two values of one number.
        where = json.dumps({k: v for k, v in m.conditions.items() if k != "attempt"}, sort_keys=True)
        found.setdefault((m.name, m.unit, where), []).append(m)
    for (name, unit, where), own in found.items():
        values = [m.value for m in own]
        stats = {"value": median(values), "low": min(values), "high": max(values), "n": len(values)}
        yield {"name": name, "unit": unit, "conditions": json.loads(where), **stats}
