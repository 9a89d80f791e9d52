"""What `-m` leaves out before it is planned is what it would leave out afterwards, and never more."""

from __future__ import annotations

from itertools import chain, combinations

import pytest

from matrix.planning import select
from matrix.planning.expand import expand_matrix, list_runnable
from matrix.planning.narrowing import MOST_OPEN, ExpressionNarrowing, KnownWords, compile_narrowing, may_hold
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
CELLS = expand_matrix(MATRIX).runnable
TEST_MARKS = ("needle", "boot")
EXPRESSIONS = [
    "sm120",
    "cpu and not mtp",
    "sm121 and (needle or mtp)",
    "cell(rig='cpu', feature='mtp')",
    "cell(gpus=2) and vllm",
    "not (sm90 or sm100 or sm103 or sm120)",
    "sm120 and not needle and cell(fork=True)",
    "cpu and cell(feature='mtp') and not cell(feature='indexcache')",
    "sm120 and sm90",
]


def matches(expression: str) -> list[str]:
    """Cells that some test with some of the marks below would have."""
    evaluate = select.compile_expression(expression)
    sets = list(chain.from_iterable(combinations(TEST_MARKS, n) for n in range(len(TEST_MARKS) + 1)))
    return [c.id for c in CELLS if any(evaluate(select.make_matcher(c, marks)) for marks in sets)]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_narrow_plan_holds_every_cell_that_some_test_matches_in_the_same_order(expression: str) -> None:
    assert [c.id for c in list_runnable(MATRIX, compile_narrowing(MATRIX, expression))] == matches(expression)


def test_a_rig_that_cannot_match_is_not_planned() -> None:
    narrowing = compile_narrowing(MATRIX, "sm120 and not mtp")
    kept = {rig.id for rig in MATRIX.rigs.values() if narrowing.keeps_rig(rig)}
    assert kept == {rig.id for rig in MATRIX.rigs.values() if rig.gpu.target == "sm120"}


def test_a_word_that_several_axes_have_is_open_until_all_are_known() -> None:
    """Else a checkpoint that shares its name with a rig would be lost with the rigs."""
    narrowing = compile_narrowing(MATRIX, "sm120x4")
    assert narrowing.keeps_rig(MATRIX.rigs["sm120x4"]) and not narrowing.keeps_rig(MATRIX.rigs["cpu"])
    shared = ExpressionNarrowing(
        evaluate=narrowing.evaluate,
        words=narrowing.words,
        of_rigs=narrowing.of_rigs - {"sm120x4"},
        of_features=narrowing.of_features,
    )
    assert shared.keeps_rig(MATRIX.rigs["cpu"])


NOTHING = KnownWords(words=frozenset(), decided=frozenset(), facts={})


@pytest.mark.parametrize(
    ("text", "holds"),
    [("a and not a", False), ("a or not a", True), ("a and not b", True), ("a and b and not a", False)],
)
def test_one_word_has_one_answer(text: str, *, holds: bool) -> None:
    assert may_hold(select.compile_expression(text), NOTHING) is holds


def test_an_expression_with_too_many_open_words_leaves_nothing_out() -> None:
    words = [f"w{i}" for i in range(MOST_OPEN + 2)]
    assert may_hold(select.compile_expression(f"{' and '.join(words)} and not {words[-1]}"), NOTHING)
