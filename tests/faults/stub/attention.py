"""Attention: the place was not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.faults.stub.defect import Answer, Asked, Defect, about, says, when, words
from tests.faults.suite_tests import BEYOND, INVENTS, WITHIN

NOT_FOUND = "I could not find it in the text."
STAMP = "0badc0de"


def _decoy(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, content=f"The code is {STAMP}.") if "needle" in asked.kind else answer


DEFECTS: Mapping[str, Defect] = {
    "forgets_needle": Defect(
        does="the engine finds no code in any text",
        family="attention",
        kills=(WITHIN, BEYOND),
        damage=about("needle", says(NOT_FOUND)),
    ),
    "forgets_needle_beyond_index_topk": Defect(
        does="the engine finds no code in a prompt longer than index_topk",
        family="attention",
        kills=(BEYOND,),
        damage=when(lambda a: a.beyond, about("needle", says(NOT_FOUND))),
    ),
    "forgets_needle_within_index_topk": Defect(
        does="the engine finds no code in a prompt of at most index_topk tokens",
        family="attention",
        kills=(WITHIN,),
        damage=when(lambda a: not a.beyond, about("needle", says(NOT_FOUND))),
    ),
    "garbles_needle": Defect(
        does="the engine writes the code backwards, with each `a` as `b`",
        family="attention",
        kills=(WITHIN, BEYOND),
        damage=about("needle", words(lambda t: t.replace("a", "b")[::-1])),
    ),
    "invents_needle": Defect(
        does="the engine gives a code for a text that has none",
        family="attention",
        kills=(INVENTS,),
        damage=about("no_needle", _decoy),
    ),
}
