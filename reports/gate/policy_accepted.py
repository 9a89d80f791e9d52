"""Defines the clauses of a policy that accept evidence of another, or of an unknown, source."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal, get_args

from matrix.errors import Problem, suggest_nearest
from matrix.yaml.document import Document
from matrix.yaml.known_shape import names_nobody, says_nothing
from reports.gate.allowances import ExplainedAllowance

Acceptable = Literal[
    "another_commit",
    "unknown_commit",
    "dirty_tree",
    "changed_tree",
    "unknown_tree",
    "another_matrix",
    "unknown_matrix",
    "several_sources",
    "unknown_host",
    "unknown_version",
    "unknown_weights",
    "another_pin",
]
ACCEPTABLE: Final = frozenset(get_args(Acceptable))
OF_SOURCES: Final = frozenset({"another_commit", "another_matrix", "several_sources"})
LITERAL: Final = re.compile(r"[0-9a-f]+")
LEAST_DIGITS: Final = 7  # what git itself shows of a commit at least
OF_CELLS: Final = frozenset({"unknown_host", "unknown_version", "unknown_weights", "another_pin"})


@dataclass(frozen=True, kw_only=True)
class Accepted(ExplainedAllowance):
    """Evidence that is not of today's source, or does not record its source, and which is accepted for a while.

    `of` is a glob over what it is: the commit, the digest of the matrix or of the differences; the run, where it says
    none; the cell, for host, version and pin; all states of the source (`a1, b2`), for several of them.
    """

    what: Acceptable
    of: str


def find_accepted_problems(doc: Document, clauses: Sequence[Accepted]) -> Iterator[Problem]:
    """Yield each clause without an owner, a reason or a name."""
    for i, clause in enumerate(clauses):
        empty = {"of": not clause.of.strip(), "owner": names_nobody(clause.owner), "why": says_nothing(clause.why)}
        for name, is_empty in empty.items():
            if is_empty:
                yield doc.problem(("accepted", i, name), "of what, who answers for it, and why? words are needed")
        # Somebody has looked at a source that they can name; `*` would accept whichever comes next.
        if clause.what in OF_SOURCES and clause.of.strip() and not _names_source(clause.of):
            kind = clause.what.partition("_")[2]
            why = f"names no source: at least {LEAST_DIGITS} digits of the {kind}, got {clause.of!r}"
            yield doc.problem(("accepted", i, "of"), why)


def _names_source(of: str) -> bool:
    """Whether a glob names a commit or digest, and not whichever comes."""
    return any(len(piece) >= LEAST_DIGITS for piece in LITERAL.findall(of))


def find_unmatched_accepted(doc: Document, clauses: Sequence[Accepted], cells: Sequence[str]) -> Iterator[Problem]:
    """Yield each clause about cells that matches no required cell."""
    for i, clause in enumerate(clauses):
        if clause.what in OF_CELLS and not any(fnmatchcase(cell, clause.of) for cell in cells):
            hint = suggest_nearest(clause.of, cells)
            yield doc.problem(("accepted", i, "of"), f"{clause.of!r} matches no required cell{hint}")
