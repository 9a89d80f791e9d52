"""Defines the clauses of a policy about flaky failures and about speed, and checks what they contain."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal

from matrix.errors import Problem, suggest_nearest
from matrix.known.reach import read_reach
from matrix.known.said import read_said
from matrix.signature import find_pattern_problem, find_vague_matches
from matrix.yaml.document import Document, Loc
from matrix.yaml.known_shape import explain_any_answer, names_nobody
from reports.gate.allowances import LINK, Allowance

MOST: Final = 0.5  # of the attempts; what fails more often is broken
LEAST_ASKED: Final = 2  # of one question, every failure is a rate of a half at least


@dataclass(frozen=True, kw_only=True)
class Flake(Allowance):
    """Failures of an engine that a retry (`pytest --retry-of RUN`) may answer while they are rare."""

    cells: str  # glob over cell ids
    tests: tuple[str, ...]  # function names; the rate is each one's own
    signature: str  # pattern over what was said of each failed attempt
    issue: str  # where somebody looks for the cause
    rate: float  # failed attempts, as a share of all: above it, red
    least_asked: int  # questions (a test with its parameters, of one cell) that the rate needs to mean something


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Speed is compared with earlier launches of the same cells."""

    baseline: str  # an evidence file or a folder of them, as seen from the policy's folder
    unjudged: Literal["told", "red"] = "told"  # cells of which there are too few earlier launches
    release: str = ""  # hold cells against this earlier release of theirs, and not against their own launches


def find_flake_problems(doc: Document, flakes: Sequence[Flake]) -> Iterator[Problem]:
    """Yield each invalid field of a flake allowance, with its line."""
    for i, clause in enumerate(flakes):
        for name, why in _wrong_flake(clause):
            yield doc.problem(("flakes", i, name), why)


def _wrong_flake(clause: Flake) -> Iterator[tuple[str, str]]:
    if names_nobody(clause.owner):
        yield "owner", "who answers for that? a name is needed"
    if not LINK.fullmatch(clause.issue):
        yield "issue", f"expected a link to where the cause is looked for, got {clause.issue!r}"
    if not clause.tests:
        yield "tests", "an allowance names the tests that it is about"
    if not math.isfinite(clause.rate) or not 0 < clause.rate <= MOST:
        yield "rate", f"expected a share above 0 and up to {MOST:g}, got {clause.rate:g}; what mostly fails is no flake"
    if clause.least_asked < LEAST_ASKED:
        yield "least_asked", f"expected {LEAST_ASKED} or more, got {clause.least_asked}: else the rate means nothing"
    if problem := find_pattern_problem(clause.signature):
        yield "signature", problem
    else:
        # A pattern that also fits the words of other failures would excuse those.
        yield from (("signature", why) for why in find_vague_matches(clause.signature))
        yield from (("signature", why) for why in explain_any_answer(clause.signature, read_said()))


def find_unmatched_flakes(flakes: Sequence[Flake], cells: Sequence[str]) -> Iterator[tuple[Loc, str]]:
    """Yield each allowance that matches no required cell, or no test."""
    known = {test for tests in read_reach().requests.values() for test in tests}
    for i, clause in enumerate(flakes):
        for j, test in enumerate(clause.tests):
            if test not in known:
                yield ("flakes", i, "tests", j), f"there is no test {test!r}{suggest_nearest(test, known)}"
        if not any(fnmatchcase(cell, clause.cells) for cell in cells):
            yield (
                ("flakes", i, "cells"),
                f"{clause.cells!r} matches no required cell{suggest_nearest(clause.cells, cells)}",
            )
