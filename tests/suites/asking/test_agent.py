"""The loop feeds back what the engine said, and ends where it made no call to answer."""

from __future__ import annotations

from typing import Any

from fixtures.banks.item import ExpectedCall, Item
from fixtures.client.reply import Reply, ToolCall
from reports.evidence.finding import Finding
from suites.asking.agent import run_loop

CALL = Item(
    id="1.call",
    kind="agent_loop",
    messages=({"role": "user", "content": "Look."},),
    call=(ExpectedCall(name="look", arguments={}),),
)
RESULT = Item(
    id="1.result", kind="agent_loop", messages=({"role": "tool", "tool_call_id": "ours", "content": "7"},), answer="7"
)
MADE = ToolCall(id="theirs", name="look", arguments='{"x": 1}')


def judge(item: Item, reply: Reply) -> Finding:
    return Finding(check="c", ok=True, expected="", got="")


def test_the_models_own_call_and_its_id_come_back() -> None:
    asked: list[tuple[Any, ...]] = []

    def ask(item: Item, **_: Any) -> Reply:
        asked.append(item.messages)
        return Reply(content="", tool_calls=(MADE,)) if len(asked) == 1 else Reply(content="7")

    assert len(list(run_loop(ask, (CALL, RESULT), judge, room=lambda _: 9))) == 5  # its ids, too
    _, said, told = asked[1]
    assert said["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"x": 1}'}
    assert told["tool_call_id"] == "theirs"


def test_a_result_without_a_call_ends_the_loop() -> None:
    findings = run_loop(lambda item, **_: Reply(content="No."), (CALL, RESULT, CALL), judge, room=lambda _: 9)
    assert len(list(findings)) == 2
