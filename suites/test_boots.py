"""Tests fresh launches of one plan, as many as `--boots N` asks for: what is wrong in one boot of five is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.client.reply import Reply
from matrix.errors import EngineError
from matrix.model import Cell
from reports.evidence.finding import Finding
from suites.asking import lengths
from suites.asking.contract import EngineHandle, EvidenceSink, PlanSettings, Reboot
from suites.asking.sequential import Spending, expect_decided
from suites.checks import answer, boots, company, isolation, needle, tools
from suites.checks.boots import CheckedBoot
from suites.measure.logprob_probe import index_topk

pytestmark = [pytest.mark.boot, pytest.mark.boots]

FACTS, CALLS = 3, 2
TRIAL = 900  # of the needle: apart from those of the other suites
TOP = 5
WORDS = 300  # characters of an error
AskedBoot = tuple[CheckedBoot, Mapping[str, Reply]]


def test_every_boot_is_right_and_alike(
    *,
    cell: Cell,
    plan: PlanSettings,
    client: Client,
    bank: Bank,
    evidence: EvidenceSink,
    boot_count: int,
    reboot: Reboot,
    token_budget: int | None,
) -> None:
    """Facts, calls and a needle beyond index_topk on each of N fresh launches: right, and with the first one's numbers.
    Autotuning, races while graphs are captured and memory that nobody set differ between boots and not within one."""
    items, topk = _pick_items(cell, plan, bank), index_topk(cell, plan.settings)
    spending, tie = (
        Spending(budget=token_budget),
        2 * isolation.logprob_tolerance(cell.checkpoint.format, cell.checkpoint.made_by),
    )
    ask = partial(_ask_boot, items=items, topk=topk, tie=tie, spending=spending)
    told: list[AskedBoot] = [ask(1, client, first={})]
    first = told[0][1]
    for number in range(2, boot_count + 1):
        if not spending.may_ask():
            break
        try:
            engine = _boot_again(reboot, f"boot {number} of {boot_count}", told)
        except EngineError as error:
            told.append((CheckedBoot(number=number, error=f"it did not start: {str(error)[:WORDS]}"), {}))
            continue
        if engine is None:
            pytest.skip("NOT_EVIDENCE: the engine is somebody else's, and cannot be launched again")
        told.append(ask(number, _bind(client, engine), first=first))
        first = first or told[-1][1]
    # Of a boot that the budget cut short nobody knows whether it is right; only that it is wrong can be known.
    every = [boot for boot, replies in told if boot.wrong or len(replies) == len(items)]
    findings = [finding for boot, _ in told for finding in boot.findings]
    if every:
        found = boots.check_boots(every)
        evidence.measurement("wrong_boots", found.data["wrong"] / len(every), "ratio", {"boots": len(every)})
        findings.insert(0, found)
    expect_decided(evidence, findings, spending, name="boots")


def _pick_items(cell: Cell, plan: PlanSettings, bank: Bank) -> Sequence[Item]:
    tokens = lengths.just_beyond(plan.settings, index_topk(cell, plan.settings))
    long = [] if tokens is None else [bank.needle(tokens=tokens, depth=0.5, trial=TRIAL)]
    return [*long, *bank.facts(FACTS), *bank.calls(CALLS)]


def _boot_again(reboot: Reboot, why: str, told: list[AskedBoot]) -> EngineHandle | None:
    """Launch once more. An engine that ended by itself behind its last answer makes its boot a wrong one."""
    try:
        return reboot(why)
    except EngineError as error:
        if error.at:  # of this launch, which did not start
            raise
        before, replies = told[-1]
        told[-1] = (replace(before, error=before.error or f"it ended by itself: {str(error)[:WORDS]}"), replies)
    return reboot(why)


def _bind(client: Client, engine: EngineHandle) -> Client:
    """Return the client of another launch; its tape is the test's own."""
    return replace(
        client,
        base_url=engine.base_url,
        model=engine.model,
        api_key=engine.api_key,
        access=engine.access,
        replies_as=engine.replies_as,
        tape=engine.tape,
        witness=None,
    )


def _ask_boot(
    number: int,
    client: Client,
    *,
    items: Sequence[Item],
    first: Mapping[str, Reply],
    topk: int,
    tie: float,
    spending: Spending,
) -> AskedBoot:
    """Ask one boot everything. An engine that ends meanwhile makes it a wrong boot, and not the end of the count."""
    replies: dict[str, Reply] = {}
    findings: list[Finding] = []
    try:
        for item in items:
            if not spending.may_ask():
                break
            reply = replies[item.id] = client.ask(item, top_logprobs=TOP)
            spending.count_reply(item, reply)
            findings.append(_judge_reply(item, reply, topk))
            if item.id in first:
                findings.append(company.check_same_answer(item, [first[item.id]], reply, check="boots.alike", tie=tie))
    except EngineError as error:
        return CheckedBoot(number=number, findings=findings, error=f"it ended: {str(error)[:WORDS]}"), replies
    return CheckedBoot(number=number, findings=findings), replies


def _judge_reply(item: Item, reply: Reply, topk: int) -> Finding:
    if item.call:
        return tools.check_calls(item, reply, check="boots.right")
    if item.kind == "needle":
        return needle.check_needle(item, reply, index_topk=topk, check="boots.right")
    return answer.check_answer(item, reply, check="boots.right")
