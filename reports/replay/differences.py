"""Compares a run's records with those that a replay of its kept replies makes today: every difference by name. Pure.

Compared test by test: findings, measurements, proofs, launches, and the result with its status, known failure and
message. Times of records and durations of tests are not compared. Records that cannot be derived again are listed
separately from those that differ; neither is an agreement.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matrix.judging.observation import UNSEEN
from matrix.judging.status import GREEN, Status
from reports.evidence import redact
from reports.evidence import types as record
from reports.evidence.defuse import cut_to, defuse_line
from reports.evidence.types import End, Found, Kept, Launch, Measured, Proof, Record, Result

NOT_RUN: Final = frozenset(
    {Status.SKIP_NO_HW, Status.INVALID_HW, Status.INVALID_ENGINE, Status.INVALID_COMBO, Status.MISSING}
)  # nothing was asked, and no gate takes one for an answer
COMPARED: Final = (Found, Measured, Proof, Launch, Result)
LEFT_OUT: Final = ("t", "run", "kind", "nodeid", "duration_s")
ENTRY_LINE: Final = re.compile(r"(\[known_failures\.yaml):\d+(?=\])")  # as reports.evidence.excuse writes it
SHOWN_CHARS: Final = 120
UNUSED: Final = " (kept, and not asked today)"  # of a replay's `dropped`
UNFINISHED: Final = (
    Kept,
    Found,
)  # all that a test leaves that is cut short; a proof or a number without a result is odd
Key = tuple[str, ...]
Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Disagreement:
    """One statement of the evidence that its kept replies contradict."""

    cell: str
    test: str
    what: str
    recorded: str
    derived: str

    def __str__(self) -> str:
        return f"{self.test}: {self.what}: the evidence says {self.recorded}, its replies say {self.derived}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Unreplayable:
    """A test that cannot be judged again, and the reason."""

    cell: str
    test: str
    why: str

    def __str__(self) -> str:
        return f"{self.test} cannot be replayed: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The result of judging again. `skipped` names the reason where nothing was judged."""

    disagreements: tuple[Disagreement, ...] = ()
    unreplayable: tuple[Unreplayable, ...] = ()
    tests: int = 0
    skipped: str = ""

    @property
    def agrees(self) -> bool:
        """Whether everything was judged again with the same result."""
        return not (self.disagreements or self.unreplayable or self.skipped)


def join_replays(parts: Iterable[Replayed]) -> Replayed:
    """Join the results of several runs."""
    found = list(parts)
    return Replayed(
        disagreements=tuple(d for p in found for d in p.disagreements),
        unreplayable=tuple(u for p in found for u in p.unreplayable),
        tests=sum(p.tests for p in found),
        skipped="; ".join(dict.fromkeys(p.skipped for p in found if p.skipped)),
    )


def render_replay(found: Replayed) -> str:
    """Render every disagreement, the tests that could not be replayed by cause, and a summary."""
    lines = [f"{d.cell}: {d}" for d in found.disagreements]
    causes = Counter((u.cell, u.why) for u in found.unreplayable)
    # Reversed, so that of several tests with one cause the first is the one that stays.
    first = {(u.cell, u.why): u.test for u in reversed(found.unreplayable)}
    for (cell, why), count in causes.items():
        which = first[cell, why] if count == 1 else f"{count} tests ({first[cell, why]}, ...)"
        lines.append(f"{cell}: {which} cannot be replayed: {why}")
    replayed = found.tests - len(found.unreplayable)
    said = f"{len(found.disagreements)} disagreement{'s' if len(found.disagreements) != 1 else ''}"
    return "\n".join([*map(defuse_line, lines), f"{replayed} of {found.tests} tests judged again: {said}"])


def compare_replay(recorded: Sequence[Record], derived: Sequence[Record], *, commit: str = "") -> Replayed:
    """Compare one run's records with those of its replay. `commit`: the recorded commit, when it is not today's.

    A test that was interrupted has kept what it asked so far, and no result: a gate counts nothing of it, unless its
    replies make a whole test that fails. In a run that came to its end a result without which replies were kept was
    taken away.
    """
    theirs = _group_by_test(derived)
    cut = not any(isinstance(r, End) and not r.interrupted for r in recorded)
    ours = {
        nodeid: own
        for nodeid, own in _group_by_test(recorded).items()
        if not (cut and all(isinstance(r, UNFINISHED) for r in own))
    }
    differing: list[Disagreement] = []
    unable: list[Unreplayable] = []
    for nodeid, own in ours.items():
        who = {"cell": own[0].cell, "test": own[0].test or nodeid}
        if why := _explain_unreplayable(own, theirs.get(nodeid, []), commit):
            unable.append(Unreplayable(**who, why=why))
        elif any(isinstance(r, Kept) for r in own):
            found = _find_differences(own, theirs[nodeid])
            differing += (
                Disagreement(**who, what=w, recorded=cut_to(a, SHOWN_CHARS), derived=cut_to(b, SHOWN_CHARS))
                for w, a, b in found
            )
    for nodeid, own in _group_by_test(recorded).items():
        if nodeid not in ours and (failed := _find_failure(theirs.get(nodeid, ()))):
            who = {"cell": own[0].cell, "test": own[0].test or nodeid}
            differing.append(Disagreement(**who, what="result", recorded="nothing", derived=f"status {failed}"))
    unable += _find_nameless(recorded)
    return Replayed(disagreements=tuple(differing), unreplayable=tuple(unable), tests=len(ours))


def _find_failure(derived: Sequence[Record]) -> str:
    """Find the status with which a whole test fails; empty where it passes, or where its replies end before it does."""
    if any(r.dropped for r in derived if isinstance(r, Kept)):
        return ""
    return next((str(r.status) for r in derived if isinstance(r, Result) and r.status not in GREEN), "")


def _find_nameless(records: Iterable[Record]) -> Iterator[Unreplayable]:
    """Find records without a test: a gate trusts a proof whoever recorded it, and one without a test cannot be
    derived again."""
    for each in records:
        if isinstance(each, COMPARED) and each.cell and not each.nodeid:
            yield Unreplayable(cell=each.cell, test=" ".join(_name_record(each)).strip(), why="it names no test")


def _group_by_test(records: Iterable[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for each in records:
        if each.cell and each.nodeid and isinstance(each, (*COMPARED, Kept)):
            found.setdefault(each.nodeid, []).append(each)
    return found


def _explain_unreplayable(own: Sequence[Record], derived: Sequence[Record], commit: str) -> str:
    """Explain why a test cannot be replayed; empty where it was replayed, or asked nothing."""
    kept = [r for r in own if isinstance(r, Kept)]
    results = [r for r in own if isinstance(r, Result)]
    if not kept:
        asked = any(r.status not in NOT_RUN for r in results) or len(results) < len(own)
        return "nothing that its engine said was kept" if asked else ""
    # Which of two results belongs to which of two sets of replies is not recorded.
    if len(kept) > 1 or len(results) > 1:
        return "it was run more than once in one run"
    if kept[0].dropped:
        return cut_to("; ".join(kept[0].dropped), SHOWN_CHARS)
    again = [r for r in derived if isinstance(r, Kept)]
    if not again:
        return f"there is no such test today, or it never began{commit and f' (recorded at commit {commit[:12]})'}"
    other = f"; it was recorded at another commit, {commit[:12]}" if commit else ""
    if missing := [what for what in again[0].dropped if not what.endswith(UNUSED)]:
        return f"today's test asks for what was not kept: {cut_to('; '.join(missing), SHOWN_CHARS)}{other}"
    # A difference is told rather than this, which may be its cause.
    if again[0].dropped and not any(_find_differences(own, derived)):
        return f"today's test asks less: {cut_to('; '.join(again[0].dropped), SHOWN_CHARS)}{other}"
    return ""


def _find_differences(own: Sequence[Record], derived: Sequence[Record]) -> Iterator[tuple[str, str, str]]:
    """Yield each difference as name, recorded value and derived value."""
    ours, theirs = _key_records(own), _key_records(derived)
    # In the order of the evidence, and what only the replay has behind it: a set would print another order each time.
    for key in dict.fromkeys((*ours, *theirs)):
        a, b = ours.get(key), theirs.get(key)
        label = " ".join(key).strip()
        # A record that one side lacks is one difference, and not one for each of its fields.
        if a is None or b is None:
            yield label, _summarise_record(a), _summarise_record(b)
        else:
            for name in sorted(a.keys() | b.keys()):
                if _as_text(a.get(name)) != _as_text(b.get(name)):
                    yield f"{label} {name}", _as_text(a.get(name)), _as_text(b.get(name))


def _key_records(records: Iterable[Record]) -> dict[Key, Fields]:
    """Map each record's fields to a readable name; equal names are numbered."""
    seen: Counter[Key] = Counter()
    found: dict[Key, Fields] = {}
    for each in records:
        if isinstance(each, COMPARED):
            key = _name_record(each)
            seen[key] += 1
            # A test may record a finding or a number of one name several times; their order is that of the test.
            number = (f"no. {seen[key]}",) if seen[key] > 1 else ()
            # Both sides: evidence was redacted by the rules of its day, and today's may hide more of the same text.
            fields = redact.redact_record(record.dump_record(each))
            left_out = (
                LEFT_OUT if isinstance(each, Result) else (*LEFT_OUT, "fingerprint")
            )  # one word on a plan is enough
            found[(*key, *number)] = {k: v for k, v in fields.items() if k not in left_out}
    return found


def _name_record(each: Record) -> Key:
    match each:
        case Found():
            return ("finding", each.check, each.item)
        case Measured():
            return ("measurement", each.name)
        case Proof():
            return ("proof of", each.feature)
        case Launch():
            return ("launch",)
        case _:
            return ("result",)


def _summarise_record(fields: Fields | None) -> str:
    """Summarise a record by its judgement, where it has one."""
    if fields is None:
        return "nothing"
    return next(
        (f"{n} {_as_text(fields[n])}" for n in ("status", "ok", "outcome", "value") if n in fields), "something"
    )


def _as_text(value: object) -> str:
    """Write a value so that equal ones are equal text. On which line a known failure stands today says nothing, and
    neither does whether we had seen a line of an engine's log when it was recorded: the engine wrote it."""
    return ENTRY_LINE.sub(r"\1", json.dumps(value, sort_keys=True, ensure_ascii=True)).replace(UNSEEN, "")
