"""No depth asks a bank for more than it gives."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from typing import Any, cast

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.canary_bank import CanaryBank
from fixtures.banks.glm5 import Glm5Bank
from suites.asking.as_many import AsMany, as_many
from suites.asking.depth import DEPTHS

KINDS = {
    "facts": "facts",
    "arithmetic": "arithmetic",
    "recall": "recall",
    "chinese": "chinese",
    "calls": "calls",
    "zero_argument_calls": "streamed",
    "parallel_calls": "parallel_calls",
    "tool_results": "tool_results",
    "no_tool_needed": "no_tool_needed",
    "missing_tool": "missing_tool",
    "long_generation": "long_texts",
}


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bank", [CanaryBank(), Glm5Bank()], ids=["canary", "glm5"])
def test_every_depth_is_given_items(bank: CanaryBank | Glm5Bank, kind: str, depth: str) -> None:
    wanted = asdict(DEPTHS[depth])[KINDS[kind]]
    given = getattr(AsMany(bank), kind)(wanted)
    assert 0 < len(given) <= wanted
    assert len({item.id for item in given}) == len(given)


def test_every_question_of_a_bank_is_passed_on_by_its_own_name() -> None:
    """A bank that answers each with what it was asked: none is forgotten, and none is asked in another's place."""
    for name, asked in inspect.getmembers(Bank, inspect.isfunction):
        if name.startswith("_"):
            continue
        said = {p: f"a {p}" for p in inspect.signature(asked).parameters if p != "self"}
        counted = {"n": 1} if "n" in said else {}
        told = getattr(AsMany(cast(Bank, Echo())), name)(**said | counted)
        assert told == (name, said | counted)
    assert AsMany(cast(Bank, Echo())).id == "echo"


class Echo:
    """Answers every question with its name and what was given by name."""

    id = "echo"

    def __getattr__(self, name: str) -> Any:
        order = [p for p in inspect.signature(getattr(Bank, name)).parameters if p != "self"]
        return lambda *values, **named: (name, dict(zip(order, values, strict=False)) | named)


def test_all_there_are_and_no_more() -> None:
    def ask(n: int) -> tuple[int, ...]:
        if n > 3:
            raise LookupError("there are 3")
        return tuple(range(n))

    assert [len(as_many(ask, n)) for n in (0, 2, 3, 9)] == [0, 2, 3, 3]  # type: ignore[arg-type]
    assert as_many(lambda n: ask(n + 3), 9) == (), "none at all"  # type: ignore[arg-type, return-value]


def test_needles_pass_as_they_are() -> None:
    bank = CanaryBank()
    assert AsMany(bank).needle(tokens=300, depth=0.5, trial=2) == bank.needle(tokens=300, depth=0.5, trial=2)
    assert AsMany(bank).id == bank.id
