"""Verifies a certificate: derives it again from the evidence, judges the kept replies again, asks who signed it.

None of it needs a GPU, an engine or the network.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from matrix.errors import ConfigError, Problem
from matrix.judging.foreign_json import parse_foreign_json
from matrix.wording import cut_text
from reports.certify.speed import read_unasked_speed
from reports.certify.statement import PREDICATE, STATEMENT, CellEvidence, NotCertifiable, Statements
from reports.certify.streaming import cut_out_cell, find_cell
from reports.evidence.by_cell import Unstreamable
from reports.evidence.files import open_plain_file, read_records
from reports.evidence.signature import NotSigned, verify_evidence
from reports.replay.run import replay_evidence

SHOWN: Final = 3
MOST_BYTES: Final = 16 << 20  # a cell of 27 tests has 30 kB
Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate as read from its file."""

    path: Path
    statement: Mapping[str, Json]
    cell: str
    issued: date
    expires: date

    @property
    def own(self) -> Mapping[str, Json]:
        """What this project says beyond the form's own fields."""
        found: Mapping[str, Json] = self.statement["predicate"]["glmMatrix"]
        return found

    @property
    def features(self) -> tuple[str, ...]:
        """What the cell asks its engine for, as far as the certificate says it in its form."""
        found = self.part("facts").get("features")
        return tuple(map(str, found)) if isinstance(found, list) else ()

    @property
    def ran(self) -> date | None:
        """The day of its last answer; None where it does not say one."""
        try:
            return date.fromisoformat(str(self.own.get("ran")))
        except ValueError:
            return None

    def part(self, name: str) -> Mapping[str, Json]:
        """Return a mapping among them; empty where there is none of that name."""
        found = self.own.get(name)
        return found if isinstance(found, Mapping) else {}


def read_certificate(path: Path) -> Certificate:
    """Read a certificate.

    Raises:
        ConfigError: it is no certificate of this project.
    """
    try:
        with open_plain_file(path) as file:
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES >> 20} MiB")
        statement = parse_foreign_json(text.decode("utf-8"), numbers=False)
        # Of another predicate, the same words may mean something else.
        own = statement["predicate"]["glmMatrix"]
        if (statement["_type"], statement["predicateType"]) != (STATEMENT, PREDICATE):
            raise ValueError(f"expected a {PREDICATE} statement")
        return Certificate(
            path=path,
            statement=statement,
            cell=str(own["cell"]),
            issued=date.fromisoformat(own["issued"]),
            expires=date.fromisoformat(own["expires"]),
        )
    except OSError as error:
        raise ConfigError([Problem(str(path), 0, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        why = "it is not text in UTF-8"
    except KeyError as error:
        why = f"it has no {error}"
    except (ValueError, TypeError, RecursionError) as error:
        why = str(error)
    raise ConfigError([Problem(str(path), 0, "", f"no certificate of this project: {why}")])


def find_problems(
    found: Certificate, evidence: Sequence[Path], *, today: date, signers: Path | None = None, replay: bool = True
) -> list[str]:
    """List why a certificate does not hold; empty where it does.

    Raises:
        ConfigError: a file is no evidence.
        HostError: a replay did not end, or ssh-keygen is absent.
    """
    problems = [f"it expired on {found.expires}"] if found.expires < today else []
    if found.issued > today:
        problems.append(f"it was issued in the future, on {found.issued}")
    try:
        # Of any size: a certificate is of one cell, and judging the replies of all others takes a minute.
        problems += _verify_streamed(found, evidence, replay=replay)
    except Unstreamable:
        problems += _verify_at_once(found, evidence, replay=replay)
    if signers is not None:
        try:
            verify_evidence(found.path, signers)
        except NotSigned as error:
            problems.append(f"its signature does not hold: {error}")
    return problems


def _verify_at_once(found: Certificate, evidence: Sequence[Path], *, replay: bool) -> list[str]:
    problems = list(compare_statement(found, Statements([r for path in evidence for r in read_records(path)]).find))
    return [*problems, *(_judge_again(found, evidence) if replay else ())]


def _verify_streamed(found: Certificate, evidence: Sequence[Path], *, replay: bool) -> list[str]:
    """Verify by one cell's records and replies: no other's are held, here or by the replay.

    Raises:
        Unstreamable: all must be read at once.
    """
    problems = list(compare_statement(found, partial(find_cell, evidence)))
    if not replay:
        return problems
    with TemporaryDirectory(prefix="glm-verify-") as folder:
        own = cut_out_cell(evidence, found.cell, Path(folder))
        return [*problems, *_judge_again(found, own)] if own else problems


def compare_statement(found: Certificate, find: Callable[[str], CellEvidence]) -> Iterator[str]:
    """Yield where a certificate says something else than is derived from what `find` has of its cell."""
    try:
        # With the certificate's own dates, and who answers for a speed that was not asked: these are not derived, and
        # whatever else differs shows, such as that it was asked.
        unasked = read_unasked_speed(found.own)
        derived = find(found.cell).make(issued=found.issued, expires=found.expires, unasked=unasked)
    except NotCertifiable as error:
        yield f"this evidence supports no certificate: {error}"
        return
    differing = list(_find_differences(found.statement, derived, ""))
    yield from (f"the evidence says otherwise: {line}" for line in differing[:SHOWN])
    if len(differing) > SHOWN:
        yield f"and {len(differing) - SHOWN} more differences"


def _find_differences(told: Json, derived: Json, place: str) -> Iterator[str]:
    if isinstance(told, Mapping) and isinstance(derived, Mapping):
        for name in sorted({*told, *derived}):
            yield from _find_differences(told.get(name), derived.get(name), f"{place}.{name}" if place else str(name))
    elif told != derived:
        yield f"{place} is {_show_value(told)} in the certificate and {_show_value(derived)} by the evidence"


def _show_value(value: Json) -> str:
    return cut_text(json.dumps(value, sort_keys=True), 80)


def _judge_again(found: Certificate, evidence: Sequence[Path]) -> Iterator[str]:
    replayed = replay_evidence(evidence)
    own = [str(d) for d in replayed.disagreements if d.cell == found.cell]
    own += [str(u) for u in replayed.unreplayable if u.cell == found.cell]
    own += [replayed.skipped] if replayed.skipped else []  # a replay that was not made agrees with nothing
    yield from (f"its replies were judged again: {line}" for line in own[:SHOWN])
    if len(own) > SHOWN:
        yield f"and {len(own) - SHOWN} more of them"
