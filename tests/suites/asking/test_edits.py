"""A talk is edited in the one word that another talk has in its place."""

from __future__ import annotations

from fixtures.banks.canary_bank import CanaryBank
from fixtures.banks.glm5 import Glm5Bank
from fixtures.banks.item import Item
from suites.asking.depth import POOL
from suites.asking.edits import pair_talks

ASK = {"role": "user", "content": "What is my pet?"}


def talk(name: str, pet: str, *, answer: str = "") -> Item:
    told = {"role": "user", "content": f"My pet is {pet}."}
    return Item(id=name, kind="recall", messages=(told, ASK), answer=answer or f"Your pet is {pet}.")


def test_the_word_of_another_talk_takes_its_place() -> None:
    ((item, edited),) = pair_talks([talk("a", "dog"), talk("b", "pony")])
    assert (item.id, edited.id, edited.answer) == ("a", "a.edited", "Your pet is pony.")
    assert [m["content"] for m in edited.messages] == ["My pet is pony.", "What is my pet?"]


def test_talks_that_differ_in_more_or_in_nothing_make_no_pair() -> None:
    assert pair_talks([talk("a", "dog"), talk("b", "dog")]) == []
    assert pair_talks([talk("a", "dog"), talk("b", "pony", answer="It is a pony.")]) == []


def test_both_banks_have_some() -> None:
    for bank in (CanaryBank(), Glm5Bank()):
        for item, edited in pair_talks(bank.recall(POOL)):
            assert item.messages[-1] == edited.messages[-1]
            assert item.messages != edited.messages
        assert len(pair_talks(bank.recall(POOL))) > 1
