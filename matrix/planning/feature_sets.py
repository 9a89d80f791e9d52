"""Which sets of features are asked of a base: what its release and checkpoint rule out is found once for all rigs."""

from __future__ import annotations

from functools import cache

from matrix.condition import OFFERED_KEYS, RELEASE_KEYS, Condition, Facts, compile_condition
from matrix.model import Cell
from matrix.planning.exclusions import Names, Sets, list_subsets
from matrix.planning.plan import is_of_matrix, offer_facts
from matrix.yaml.loaded import Matrix


def list_sets(matrix: Matrix, base: Cell, *, by_default: bool = True) -> Sets:
    """List the sets of features that are asked of a base; without `by_default` those that its cells' ids may name, too.

    Every set of what combines freely; each variant (`varies`) alone and with each of its partners, so that one more
    variant costs a cell or two a base and not twice as many.
    """
    facts = base.facts
    if by_default and is_of_matrix(matrix, base):
        questions = _list_possible_questions(matrix.origin, base.release.id, base.checkpoint.id)
    else:
        questions = _compile_questions(matrix.origin)
    names = tuple(name for name, asked, chosen in questions if (not by_default or chosen(facts)) and asked(facts))
    return _combine_features(matrix.origin, names)


@cache
def _combine_features(matrix: Matrix, names: Names) -> Sets:
    variants = {n: matrix.features[n] for n in names if matrix.features[n].varies}
    free = list_subsets(tuple(n for n in names if n not in variants))
    beside = ((frozenset({n}), *(frozenset({n, p}) for p in f.partners if p in names)) for n, f in variants.items())
    return (*free, *dict.fromkeys(s for sets in beside for s in sets))


@cache
def _compile_questions(matrix: Matrix) -> tuple[tuple[str, Condition, Condition], ...]:
    """Compile for each feature where it is a question, and where it is asked by default."""
    return tuple(
        (name, compile_condition(f.when, matrix.pins), compile_condition(f.by_default, matrix.pins))
        for name, f in sorted(matrix.features.items())
    )


@cache
def _list_possible_questions(
    matrix: Matrix, release: str, checkpoint: str
) -> tuple[tuple[str, Condition, Condition], ...]:
    """List those that are asked by default on some rig."""
    facts = offer_facts(matrix, release, checkpoint)
    return tuple(q for q in _list_questions_of_release(matrix, release) if _may_be_asked(q, facts, OFFERED_KEYS))


@cache
def _list_questions_of_release(matrix: Matrix, release: str) -> tuple[tuple[str, Condition, Condition], ...]:
    """List those that are asked by default of some checkpoint: of 28 checkpoints the release is looked at once."""
    facts = matrix.releases[release].offered
    return tuple(q for q in _compile_questions(matrix) if _may_be_asked(q, facts, RELEASE_KEYS))


def _may_be_asked(question: tuple[str, Condition, Condition], facts: Facts, known: frozenset[str]) -> bool:
    _, asked, chosen = question
    return chosen.holds_so_far(facts, known) and asked.holds_so_far(facts, known)
