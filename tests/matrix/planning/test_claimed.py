"""What a cell does not claim it does not owe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from matrix.model import Cell
from matrix.planning.claimed import CLAIMS, find_claims, holds_claims, separates_thoughts
from matrix.planning.expand import expand_matrix
from matrix.planning.owed import read_owed
from matrix.yaml.load import load_matrix


def test_what_a_cell_does_not_claim_is_not_owed() -> None:
    """A test that can say nothing of a cell would be NOT_EVIDENCE in every run, and no gate at that depth green."""
    for cell in one_of_each_kind():
        owed = {i.test for i in read_owed().asked_of(cell, "full")}
        assert ("test_obeys_what_can_be_counted" in owed) is (not cell.checkpoint.canary)
        assert ("test_obeys_the_thinking_switch" in owed) is (cell.checkpoint.thinking == "switch")
        assert ("test_samples_alike_with_one_seed" in owed) is (cell.engine.dialect in ("vllm", "llamacpp"))
        assert ("test_goes_on_where_it_must" in owed) is (cell.engine.dialect != "transformers")
        assert ("test_obeys_the_newer_name_of_the_limit" in owed) is (cell.engine.dialect != "transformers")
        constrains = cell.engine.dialect not in ("transformers", "trtllm")
        thinks = cell.checkpoint.thinking != "never" and separates_thoughts(cell)
        assert ("test_answers_with_one_of_the_choices" in owed) is constrains
        assert ("test_obeys_a_json_schema_after_thinking" in owed) is (constrains and thinks)
        assert ("test_answers_after_thinking" in owed) is thinks
        assert ("test_invents_no_needle" in owed) is ("absent_codes" not in cell.checkpoint.untaught)
        assert ("test_refuses_a_missing_tool" in owed) is ("missing_tools" not in cell.checkpoint.untaught)
        assert ("test_obeys_reasoning_effort" in owed) is (bool(cell.checkpoint.reasoning_efforts) and thinks)


@pytest.mark.parametrize(("dialect", "separates"), [("llamacpp", True), ("vllm", False), ("trtllm", False)])
def test_llamacpp_reads_the_template_and_others_need_a_parser(dialect: str, *, separates: bool) -> None:
    cell = next(c for c in one_of_each_kind() if c.engine.dialect == dialect)
    bare = replace(cell, checkpoint=replace(cell.checkpoint, parsers={}))
    parsers = {cell.engine.id: {"reasoning": "glm45"}}
    assert separates_thoughts(bare) is separates
    assert separates_thoughts(replace(cell, checkpoint=replace(cell.checkpoint, parsers=parsers)))


def one_of_each_kind() -> list[Cell]:
    """Return a cell for all that a claim may read, so that a claim too many joins no two of them."""
    found = {_read_facts(c): c for c in expand_matrix(load_matrix()).runnable}
    assert {name for cell in found.values() for name in find_claims(cell)} == set(CLAIMS)
    return list(found.values())


def _read_facts(cell: Cell) -> tuple[object, ...]:
    checkpoint = cell.checkpoint
    own = (checkpoint.canary, checkpoint.thinking, bool(checkpoint.reasoning_efforts), checkpoint.untaught)
    return (cell.engine.dialect, separates_thoughts(cell), *own)


def test_named_claims_hold_where_all_of_them_are_found() -> None:
    for cell in one_of_each_kind():
        assert {name for name in CLAIMS if holds_claims(cell, [name])} == find_claims(cell)
        assert holds_claims(cell, find_claims(cell)) and not holds_claims(cell, ["nobody_knows_this"])
