"""Decides early what an `-m` expression leaves out: a rig whose cells cannot match is not planned at all.

Of a rig, of a base (a cell without its features) and of a cell, some words are known and the others open: features,
marks of tests. An expression that no answer to the open words makes true leaves all of it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from matrix.hardware import Rig
from matrix.model import Cell
from matrix.planning.select import CELL_KEYS, all_marks, cell_marks, compile_expression
from matrix.yaml.loaded import Matrix

MOST_OPEN: Final = 10  # open words that are tried, both ways each; an expression with more of them leaves nothing out
OF_RIG: Final = frozenset({"rig", "gpu", "sm", "gpus"})  # keys of cell() that a rig decides
OF_BASE: Final = frozenset(CELL_KEYS) - {"feature"}

Evaluate = Callable[[Callable[..., bool]], bool]
Key = tuple[Any, ...]  # of an open word: its name and its arguments


class OpenWord(Exception):
    """The expression asks for a word that is neither known nor guessed."""

    def __init__(self, key: Key) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWords:
    """What is known. A word of `decided` that is not among `words` does not hold; every other word is open."""

    words: frozenset[str]
    decided: frozenset[str]
    facts: Mapping[str, Any]
    features: frozenset[str] | None = None  # None: open

    def answer(self, name: str, wanted: Mapping[str, Any]) -> bool | None:
        """Return whether a word or `cell(key=value)` holds; None where that is open."""
        if name == "cell":
            return self._answer_facts(wanted)
        if wanted:
            return None
        return True if name in self.words else False if name in self.decided else None

    def _answer_facts(self, wanted: Mapping[str, Any]) -> bool | None:
        said = [
            (None if self.features is None else value in self.features)
            if key == "feature"
            else (self.facts[key] == value if key in self.facts else None)
            for key, value in wanted.items()
        ]
        # One fact that is wrong settles it, whatever the open ones are: cell(a=..., b=...) wants them all.
        return False if False in said else None if None in said else True


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionNarrowing:
    """A compiled `-m` expression with the words of the axes."""

    evaluate: Evaluate
    words: frozenset[str]  # that some cell has
    of_rigs: frozenset[str]  # those that only a rig gives
    of_features: frozenset[str]
    settled: dict[str, bool] = field(default_factory=dict)  # by rig: what it alone decides, as sm120 does

    def keeps_rig(self, rig: Rig) -> bool:
        """Whether some cell of the rig may match."""
        words = frozenset({rig.gpu.target, rig.id, rig.gpu.id})
        known = KnownWords(words=words, decided=self.of_rigs, facts=_pick_facts(rig.facts, OF_RIG))
        if (said := _settle(self.evaluate, known)) is None:
            return may_hold(self.evaluate, known)
        self.settled[rig.id] = said
        return said

    def keeps_base(self, base: Cell) -> bool:
        """Whether the cell may match with some set of features."""
        if base.rig.id in self.settled:
            return self.settled[base.rig.id]
        return may_hold(self.evaluate, self._know_base(base))

    def keeps_cell(self, cell: Cell) -> bool:
        """Whether some test of the cell may match."""
        if cell.rig.id in self.settled:
            return self.settled[cell.rig.id]
        known = replace(
            self._know_base(cell), words=cell_marks(cell), decided=self.words, features=frozenset(cell.features)
        )
        return may_hold(self.evaluate, known)

    def _know_base(self, cell: Cell) -> KnownWords:
        decided = self.words - self.of_features
        return KnownWords(words=cell_marks(cell) & decided, decided=decided, facts=_pick_facts(cell.facts, OF_BASE))


def compile_narrowing(matrix: Matrix, text: str) -> ExpressionNarrowing:
    """Compile an `-m` expression.

    Raises:
        ConfigError: it does not parse.
    """
    words = frozenset(all_marks(matrix))
    features = frozenset({*matrix.features, "baseline"})
    rigs = frozenset({"cpu", *matrix.rigs, *matrix.gpus, *(g.target for g in matrix.gpus.values())})
    return ExpressionNarrowing(
        # A word that a rig and, say, a release could both give is not decided by the rig.
        evaluate=compile_expression(text),
        words=words,
        of_rigs=rigs - _list_other_words(matrix),
        of_features=features,
    )


def _list_other_words(matrix: Matrix) -> set[str]:
    """List the words that a cell has by its engine, release, checkpoint or features."""
    checkpoints = matrix.checkpoints.values()
    named = {*matrix.engines, *matrix.releases, *matrix.checkpoints, *matrix.features}
    return named | {c.family for c in checkpoints} | {c.format for c in checkpoints}


def _settle(evaluate: Evaluate, known: KnownWords) -> bool | None:
    """Return what the expression comes to whatever the open words are; None where it asks for one of them."""

    def match(name: str, /, **wanted: Any) -> bool:
        if (said := known.answer(name, wanted)) is None:
            raise OpenWord((name,))
        return said

    try:
        return evaluate(match)
    except OpenWord:
        return None


def may_hold(evaluate: Evaluate, known: KnownWords) -> bool:
    """Whether some answers to the open words make the expression true."""
    return any(_try_answers(evaluate, known, {}))


def _try_answers(evaluate: Evaluate, known: KnownWords, guesses: Mapping[Key, bool]) -> Iterator[bool]:
    """Yield what the expression comes to, for each set of answers that it asks for."""

    def match(name: str, /, **wanted: Any) -> bool:
        said = known.answer(name, wanted)
        key = (name, *sorted(wanted.items()))
        # The expression evaluates its words itself: an exception is the one way to learn that it asks for this one.
        if said is None and key not in guesses:
            raise OpenWord(key)
        return guesses[key] if said is None else said

    try:
        yield evaluate(match)
    except OpenWord as word:
        if len(guesses) >= MOST_OPEN:
            yield True  # too many to try: nothing is left out
            return
        for guess in (True, False):
            yield from _try_answers(evaluate, known, {**guesses, word.key: guess})


def _pick_facts(facts: Mapping[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {k: v for k, v in facts.items() if k in keys}
