"""A company is beyond index_topk, unequal in length, decodes first and reads the longest prompt last."""

from __future__ import annotations

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.canary_bank import CanaryBank
from fixtures.banks.glm5 import Glm5Bank
from suites.asking.company import list_company_lengths, make_company
from suites.asking.depth import FULL
from tests.mutation.seeds import SeededBank

SETTINGS = {"context": 4096, "chunk_tokens": 512, "page_tokens": 64}


def test_lengths_are_beyond_index_topk_and_within_the_context() -> None:
    sizes = list_company_lengths(SETTINGS, 256, FULL)
    assert sizes == (333, 384, 385, 497, 527, 1039, 3712)  # just beyond, a page, a chunk, 5,500 as far as it fits
    assert list_company_lengths({"context": 600}, 2048, FULL) == ()


@pytest.mark.parametrize("bank", [CanaryBank(), Glm5Bank()], ids=["canary", "glm5"])
def test_a_company_has_every_role(bank: Bank) -> None:
    guests = make_company(bank, (333, 700), 8)
    assert guests[0].role == "decodes" and {g.role for g in guests} == {
        "decodes",
        "needle",
        "turn",
        "call",
        "leaves",
    }
    read = [g.item.tokens_prompt_about or 0 for g in guests[1:]]
    assert read == sorted(read) and min(read) > 250 and len(set(read)) > 3
    assert len({g.item.id for g in guests}) == 8
    assert {bool(g.options["stream"]) for g in guests if g.compared} == {True, False}


def test_the_long_reply_is_a_text_that_may_be_cut() -> None:
    """A count has one right end: cut, it would be wrong."""
    bank = SeededBank(Glm5Bank(), 2)
    assert bank.long_generation(1)[0].answer is not None
    assert make_company(bank, (333,), 1)[0].item.answer is None


def test_streams_without_numbers_are_asked_for_none() -> None:
    guests = [g for g in make_company(CanaryBank(), (333, 700), 8, numbered=False) if g.compared]
    assert any(g.options["stream"] for g in guests)
    assert all(("top_logprobs" in g.options) is not g.options["stream"] for g in guests)
