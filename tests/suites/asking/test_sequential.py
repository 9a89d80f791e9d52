"""A sequential test asks no further than its budget and one reply, and claims nothing of what it did not ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fixtures.banks.canary_bank import CanaryBank
from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from matrix.planning.token_budgets import read_token_budgets
from suites.asking.depth import DEPTHS
from suites.asking.sequential import Spending, expect_decided
from suites.test_needle import COMPANY, _check_needles
from tests.faults.stub.engine import StubEngine
from tests.suites import reaching
from tests.suites.world import BOOTS as BOOT_COUNT
from tests.suites.world import Outcome, Recorder, run

BOOTS, NEEDLES = "test_every_boot_is_right_and_alike", "test_finds_the_needle_beyond_index_topk"
CODE = "3fa91c"
COSTS = st.lists(st.tuples(st.integers(1, 500), st.integers(0, 90), st.booleans()), min_size=1, max_size=12)


@dataclass
class Scripted:
    """A client whose replies cost what the script says, and are right where it says so."""

    costs: Mapping[str, tuple[int, int, bool]]
    asked: list[int] = field(default_factory=list)

    def together(self, asks: Sequence[tuple[Item, Any]]) -> list[Reply]:
        return [self.reply(item) for item, _ in asks]

    def reply(self, item: Item) -> Reply:
        prompt, completion, right = self.costs[item.id]
        self.asked.append(prompt + completion)
        said = f"The code is {CODE if right else 'bad0bad1'}."
        return Reply(content=said, prompt_tokens=prompt, completion_tokens=completion, finish_reason="stop")


def ask_needles(
    script: list[tuple[int, int, bool]], budget: int | None, company: int
) -> tuple[Any, Scripted, Recorder]:
    text = ({"role": "user", "content": f"The code is {CODE}."},)
    # The bank's estimate holds: it is what the question and its reply cost.
    items = [
        Item(id=str(n), kind="needle", messages=text, answer=CODE, tokens_prompt_about=prompt + completion)
        for n, (prompt, completion, _) in enumerate(script)
    ]
    client: Any = Scripted({item.id: cost for item, cost in zip(items, script, strict=True)})
    spending, evidence, error = Spending(budget=budget), Recorder(), None
    try:
        found = _check_needles(client, items, spending, topk=None, company=company)
        expect_decided(evidence, found, spending, name="needle")
    except (AssertionError, pytest.skip.Exception) as raised:
        error = raised
    return error, client, evidence


@given(script=COSTS, budget=st.integers(1, 3000), company=st.sampled_from([1, COMPANY]))
@example(script=[(100, 0, True), (100, 0, True)], budget=200, company=2)  # the last reply spends exactly the rest
@example(script=[(100, 0, True), (100, 0, True)], budget=100, company=1)
def test_no_more_is_asked_than_the_budget_and_one_reply(
    script: list[tuple[int, int, bool]], budget: int, company: int
) -> None:
    error, client, evidence = ask_needles(script, budget, company)
    assert sum(client.asked[:-1]) < budget, "the last question was asked when nothing was left"
    assert evidence.measurements == [("needle_tokens", sum(client.asked), "tokens")]
    assert evidence.conditions == [{"budget": budget, "questions": len(client.asked), "counted": len(client.asked)}]
    if not all(right for _, _, right in script[: len(client.asked)]):
        assert isinstance(error, AssertionError)
    elif len(client.asked) < len(script):
        assert isinstance(error, pytest.skip.Exception) and str(error).startswith("NOT_EVIDENCE: undecided: ")
        assert sum(client.asked) >= budget
    else:
        assert error is None


@given(script=COSTS)
def test_without_a_stated_budget_nothing_is_counted_against_it(script: list[tuple[int, int, bool]]) -> None:
    error, client, evidence = ask_needles(script, None, 1)
    assert evidence.measurements == [] and not isinstance(error, pytest.skip.Exception)
    assert error is not None or len(client.asked) == len(script)


@pytest.mark.parametrize(("prompt", "completion"), [(None, None), (0, 0), (9, None), (-9, 5), (9, -9)])
def test_an_engine_that_does_not_count_is_not_free(prompt: int | None, completion: int | None) -> None:
    spending = Spending(budget=1000)
    item = Item(id="n", kind="needle", messages=(), answer=CODE, tokens_prompt_about=400)
    spending.count_reply(item, Reply(content="x" * 99, prompt_tokens=prompt, completion_tokens=completion))
    assert (spending.used, spending.questions, spending.counted) == (500, 1, 0)


def ask_stub(test: str, budget: int, defect: str | None = None) -> Outcome:
    with StubEngine(defect=defect) as stub:
        found = run(test, stub, CanaryBank(), token_budget=budget)
    assert found.replays
    return found


def test_needles_that_were_not_asked_are_no_pass() -> None:
    assert ask_stub(NEEDLES, 1_000_000).error is None
    short = ask_stub(NEEDLES, 1_000)
    assert isinstance(short.error, pytest.skip.Exception) and "NOT_EVIDENCE: undecided" in str(short.error)
    assert [name for name, _, _ in short.evidence.measurements] == ["needle_tokens"]


def test_boots_that_were_not_asked_are_no_pass() -> None:
    whole = ask_stub(BOOTS, 1_000_000)
    ((_, used, _),) = [m for m in whole.evidence.measurements if m[0] == "boots_tokens"]
    assert whole.error is None
    boot = round(used) // BOOT_COUNT
    # A boot that the budget cut short is counted neither as right nor as wrong.
    for budget, counted in ((1, []), (boot, [1]), (boot + 1, [1]), (3 * boot, [3])):
        short = ask_stub(BOOTS, budget)
        assert isinstance(short.error, pytest.skip.Exception) and "NOT_EVIDENCE: undecided" in str(short.error)
        assert [f.data["boots"] for f in short.evidence.findings if f.check == "boots.every_boot"] == counted
    assert ask_stub(BOOTS, round(used)).error is None, "all was asked"


def test_a_wrong_boot_fails_whatever_the_budget_leaves() -> None:
    whole = ask_stub(BOOTS, 1_000_000, "forgets_needle")
    assert isinstance(whole.error, AssertionError)
    assert isinstance(ask_stub(BOOTS, 1, "forgets_needle").error, AssertionError)


def test_the_default_of_each_depth_is_more_than_any_test_plans() -> None:
    for name, depth in DEPTHS.items():
        budget = read_token_budgets()[name]
        for plans in reaching.distinct_plans().values():
            for plan in plans:
                needles = sum(request.prompt_tokens for request in reaching.noted(NEEDLES, plan, depth))
                boot = sum(request.prompt_tokens for request in reaching.noted(BOOTS, plan, depth))
                assert max(needles, 100 * boot) < 0.75 * budget, (name, plan.cell.id, needles, boot)
