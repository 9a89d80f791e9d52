"""Defines the clauses of a policy that allow something about cells for a while, and checks what they contain.

Every one names its cells, who answers for it, why and until when. A prediction that does not hold is an answer of the
engine, so its clause also needs the words that it excuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, NamedTuple, TypeVar

from matrix.errors import Problem, suggest_nearest
from matrix.model import Cell
from matrix.signature import find_pattern_problem, find_vague_matches
from matrix.yaml.document import Document, Loc
from matrix.yaml.known_shape import names_nobody, says_nothing

LINK: Final = re.compile(r"https?://[\w.-]*\w\.\w[\w.-]*(?::\d+)?/\S+")


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What a policy allows for a while."""

    owner: str  # who answers for it
    until: date  # past it, what it allowed is red


@dataclass(frozen=True, kw_only=True)
class ExplainedAllowance(Allowance):
    """An allowance that nothing else explains, such as an issue or a known failure."""

    why: str


@dataclass(frozen=True, kw_only=True)
class NotRun(Allowance):
    """Cells without any answer from an engine, as a known failure predicts, which may be missing for a while."""

    known_failure: str  # id of an entry about the launch
    cells: str  # glob over cell ids


@dataclass(frozen=True, kw_only=True)
class AcceptedIdentity(ExplainedAllowance):
    """Parts in which an attached server may differ from its cells for a while."""

    cells: str  # glob over cell ids
    parts: tuple[Literal["engine", "model", "version", "reply", "tls"], ...]


@dataclass(frozen=True, kw_only=True)
class NotReplayed(ExplainedAllowance):
    """Cells whose verdicts cannot be judged again from kept replies, and which may stay so for a while."""

    cells: str  # glob over cell ids


@dataclass(frozen=True, kw_only=True)
class Unproven(ExplainedAllowance):
    """Features that were asked for and that nothing shows to be in effect, which may stay so for a while."""

    cells: str  # glob over cell ids
    features: tuple[str, ...]  # each by name; a refuted one is red all the same


@dataclass(frozen=True, kw_only=True)
class Unpredicted(ExplainedAllowance):
    """Predictions beside the cell without the feature that do not hold, or that cannot be judged, for a while."""

    cells: str  # glob over the ids of the cells with the feature
    features: tuple[str, ...]
    signature: str  # pattern over the gate's own sentence about the prediction


@dataclass(frozen=True, kw_only=True)
class Attached(ExplainedAllowance):
    """Cells that may be asked of an engine which somebody else started (--endpoint), for a while. Its owner knows how
    that engine was started."""

    cells: str  # glob over cell ids


@dataclass(frozen=True, kw_only=True)
class AllowedTag(ExplainedAllowance):
    """Images that may be launched by a tag, which somebody may move, for a while. Its owner answers for what the tag
    names."""

    image: str  # glob over image references


@dataclass(frozen=True, kw_only=True)
class UnaskedSpeed(ExplainedAllowance):
    """Cells whose speed need not be asked, for a while: engines that share a GPU from first to last have none, and that
    of a canary says nothing of the checkpoint behind it. Answers are no part of this."""

    cells: str  # glob over cell ids


@dataclass(frozen=True, kw_only=True)
class FailedStop(Allowance):
    """Engines that may crash while they are being stopped, for a while."""

    cells: str  # glob over cell ids
    signature: str  # pattern over how it ended
    issue: str  # where somebody looks for the cause


Clause = TypeVar("Clause", bound=Allowance)


class Softened(NamedTuple):
    """A sentence that is red, unless the clause that names it still holds."""

    rule: str
    text: str
    clause: Any  # with owner, why and until; None where the policy names none

    def is_red(self, today: date) -> bool:
        return self.clause is None or self.clause.until < today

    def tell_red(self) -> str:
        late = f" {self.clause.owner} accepted that until {self.clause.until} only." if self.clause else ""
        return f"{self.text}{late}"

    def tell_accepted(self) -> str:
        why = getattr(self.clause, "why", "") or self.clause.issue
        return f"{self.text} Accepted until {self.clause.until} by {self.clause.owner}: {why}"


def find_longest(clauses: Iterator[Clause] | Sequence[Clause]) -> Clause | None:
    """Find the clause that holds longest: an older one that has ended must not make red what a newer one covers."""
    return max(clauses, key=lambda c: c.until, default=None)


Clauses = Mapping[str, Sequence[Any]]  # by key of the policy

_EXPLAINED = ("not_replayed", "identity", "unproven", "predictions", "attached", "speed_unasked")
WITH_REASON = (*_EXPLAINED, "depth_unknown", "allow_tags")
OF_CELLS = (*_EXPLAINED, "shutdown")


def find_allowance_problems(doc: Document, clauses: Clauses) -> Iterator[Problem]:
    """Yield each allowance without an owner, a reason, or the parts, features, words or image that it is about."""
    for key in ("not_run", "shutdown", *WITH_REASON):
        for i, clause in enumerate(clauses[key]):
            yield from (doc.problem((key, i, name), why) for name, why in _find_empty(clause))
    for key in ("predictions", "shutdown"):
        for i, clause in enumerate(clauses[key]):
            for why in _find_wrong_signature(clause.signature):
                yield doc.problem((key, i, "signature"), why)


def _find_empty(clause: Any) -> Iterator[tuple[str, str]]:
    """Yield each field that names nothing: nobody, no reason, no part, no feature, any image."""
    own = vars(clause)
    for name, is_empty in (("owner", names_nobody), ("why", says_nothing)):
        if name in own and is_empty(own[name]):
            yield name, "who answers for that, and why? words are needed"
    if not LINK.fullmatch(issue := own.get("issue", "https://example.org/1")):
        yield "issue", f"expected a link to where the cause is looked for, got {issue!r}"
    if not own.get("parts", True):
        yield "parts", "names no part: which may be another's?"
    if not own.get("features", True):
        yield "features", "names no feature; each is allowed by its name"
    if says_nothing(own.get("image", "any word")):
        yield "image", "any image? name its repository, e.g. vllm/vllm-openai:*"


def _find_wrong_signature(signature: str) -> Iterator[str]:
    if problem := find_pattern_problem(signature):
        yield problem
    else:
        yield from find_vague_matches(signature)


def find_unmatched_allowances(doc: Document, clauses: Clauses, cells: Sequence[Cell]) -> Iterator[Problem]:
    """Yield each allowance that matches no required cell, or a feature that none of those has: it would excuse later
    cells, which nobody has looked at."""
    ids = [c.id for c in cells]
    for key in OF_CELLS:
        for i, clause in enumerate(clauses[key]):
            if not (own := [c for c in cells if fnmatchcase(c.id, clause.cells)]):
                why = f"{clause.cells!r} matches no required cell{suggest_nearest(clause.cells, ids)}"
                yield doc.problem((key, i, "cells"), why)
            else:
                yield from (doc.problem((key, i, *at), why) for at, why in _find_unasked(clause, own))


def _find_unasked(clause: Any, own: Sequence[Cell]) -> Iterator[tuple[Loc, str]]:
    asked = sorted({f for c in own for f in c.features})
    for j, name in enumerate(getattr(clause, "features", ())):
        if name not in asked:
            yield ("features", j), f"none of these cells asks for {name!r}{suggest_nearest(name, asked)}"
