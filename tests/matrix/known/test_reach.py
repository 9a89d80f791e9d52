"""Whether an entry can describe a failure of this cell at this depth, by what the suites ask there."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from matrix.known.reach import Reach, ReachRequest, can_meet
from matrix.planning.expand import expand_matrix
from matrix.recorded import Fails, Needs
from matrix.yaml.load import load_matrix
from tests.reports.world import KF_NEEDLE

CELL: Final = next(c for c in expand_matrix(load_matrix()).runnable if c.id.endswith("canary_bf16.baseline"))
ALWAYS: Final = next(c for c in expand_matrix(load_matrix()).runnable if c.checkpoint.thinking == "always")
TEST: Final = KF_NEEDLE.fails.test
QUICK, FULL = (ReachRequest(1_700),), (ReachRequest(6_000), ReachRequest(100, turns=3))
TABLE: Final = Reach(requests={"canary": {TEST: {"quick": QUICK, "full": FULL}}, "glm5": {TEST: {"quick": FULL}}})


@pytest.mark.parametrize(
    ("needs", "quick", "full"),
    [
        (Needs(), True, True),
        (Needs(prompt_tokens=1_700), True, True),
        (Needs(prompt_tokens=4_200), False, True),
        (Needs(turns=3), False, True),
        (Needs(prompt_tokens=4_200, turns=3), False, False),
        (Needs(prompt_tokens=9_000), False, False),
    ],
)
def test_an_entry_speaks_at_the_depths_at_which_its_test_asks_for_what_it_needs(
    needs: Needs, quick: bool, full: bool
) -> None:
    known = replace(KF_NEEDLE, needs=needs)
    assert (can_meet(known, CELL, "quick", TABLE), can_meet(known, CELL, "full", TABLE)) == (quick, full)


def test_the_bank_of_the_cells_own_checkpoint_decides() -> None:
    other = replace(CELL, checkpoint=replace(CELL.checkpoint, banks=("glm5", "canary")))
    known = replace(KF_NEEDLE, needs=Needs(prompt_tokens=4_200))
    assert can_meet(known, other, "quick", TABLE) and not can_meet(known, CELL, "quick", TABLE)


def test_a_checkpoint_that_always_thinks_is_asked_everything_with_thinking() -> None:
    known = replace(KF_NEEDLE, needs=Needs(thinking=True))
    always = replace(ALWAYS, checkpoint=replace(ALWAYS.checkpoint, banks=("canary",)))
    assert can_meet(known, always, "quick", TABLE) and not can_meet(known, CELL, "quick", TABLE)


def test_nothing_is_needed_before_anything_is_asked() -> None:
    at_start = Fails(at="before_ready", how="exit", signature="x y")
    assert can_meet(replace(KF_NEEDLE, fails=at_start, needs=Needs(prompt_tokens=9)), CELL, "quick", TABLE)
