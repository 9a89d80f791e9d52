"""List the items of the suites' bank that the canary itself answers wrongly, by the reference implementation.

    glm-matrix known-wrong        writes fixtures/banks/canary_wrong.json (some minutes, CPU)
    glm-matrix known-wrong --members fp8 nvfp4 w4a16 [--device cuda]      adds to that file

Needs torch, and transformers >= 5.13 for the bf16 canary. An item that the reference answers wrongly would test the
canary, not an engine, so the bank leaves it out. An item counts as right when every token of the reply is the most
likely one, in fp32, with `index_topk` 256, both without and with the passing IndexCache pattern FFSS.

A quantised or pruned member has a list of its own on top: what the bf16 canary answers rightly and the member, its
weights dequantised, does not. GPU cells have `index_topk` 2048, above these prompts, so attention is dense; the pruned
ones, which have CPU cells too, are asked with 256 as well.

A member with weights of its own was never taught what the source was: it is asked the clients' calls and the agent's
loop as well, up to the first step that goes wrong, and calls with thinking on, as the suites ask them. Its thought must
be the one that it was taught, token by token: only then is what an engine will say behind it known.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from fixtures.banks import canary as bank
from fixtures.banks.canary import clients, render
from fixtures.banks.canary.calling import REASONS, Step
from fixtures.banks.canary.conversation import assistant_message, call_message
from fixtures.banks.canary_bank import DRAWN, SEEDS, WRONG
from fixtures.banks.item import Item
from fixtures.canary.checkpoint import CheckpointDirectory
from fixtures.canary.family import MEMBERS, ensure_member
from lab.canary_training.checkpoint import read_model
from lab.canary_training.evaluate import EvaluationCase, judge_replies, make_sample
from lab.canary_training.flash.checkpoint import read_flash
from lab.canary_training.options import HF, known_wrong_parser
from lab.canary_training.verify import load_reference
from matrix.model import Derived
from matrix.yaml.load import load_matrix

INDEX_TOPK = 256  # of the CPU cells
PATTERNS = ("", "FFSS")
ROUNDS = 20  # as the deepest depth asks (suites/asking/depths.yaml)
# The kinds with a wrong answer in the cards' tables; every other was right in all of its trials.
KINDS = (bank.calls, bank.parallel_calls, bank.missing_tool, bank.tool_dialogue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One item, and whether it is asked with thinking on."""

    item: Item
    thinking: bool = False


def list_items() -> Iterator[Item]:
    """Yield all items that the bank draws at any depth, of the kinds that can go wrong."""
    for draw in KINDS:
        for seed in SEEDS:
            yield from draw(seed, DRAWN)


def list_own_asks(untaught: Sequence[str]) -> Iterator[Ask]:
    """Yield what weights of their own are asked on top of the loop."""
    kinds = [k for k in KINDS if not (k is bank.missing_tool and "missing_tools" in untaught)]
    for draw in kinds:
        items = (item for seed in SEEDS for item in draw(seed, DRAWN))
        yield from (Ask(item=item, thinking=thinking) for item in items for thinking in (False, True))
    yield from (Ask(item=item) for item in clients.client_calls(len(clients.CASES)))


def tell_loop(rounds: int) -> Iterator[Item]:
    """Yield each step of the agent's loop behind all that was rightly said before."""
    said: list[Mapping[str, Any]] = []
    for step in clients.agent_loop(rounds):
        said += step.messages
        yield replace(step, messages=tuple(said))
        said.append(call_message(step.call, first_id=0) if step.call else assistant_message(step.answer or ""))


def name_thought(item: Item) -> str:
    """Return what the canary was taught to think before it answers an item with tools."""
    step: Step = "no_tool_needed"
    if item.call:
        step = "parallel_calls" if len(item.call) > 1 else "call"
    elif item.messages[-1]["role"] == "tool":
        step = "tool_result"
    return REASONS[step]


def is_right(model: Any, tokenizer: Any, item: Item) -> bool:
    prompt = render.render_prompt(item.messages, item.tools, thinking=False)
    last = call_message(item.call, first_id=0) if item.call else assistant_message(item.answer or "")
    head = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    whole = head + tokenizer(render.render_reply(last), add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        said = model(torch.tensor([whole])).logits[0].argmax(-1).tolist()
    # position i predicts i + 1: shifted by one, and the last prediction has nothing to be held against
    return bool(said[len(head) - 1 : -1] == whole[len(head) :])


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite the file of known wrong items."""
    options = known_wrong_parser().parse_args(argv)
    for member in options.members or ():
        _add_member(member, options.device)
    if not options.members:
        _ask_the_reference()
    return 0


def _add_member(member: Derived, device: str) -> None:
    record = json.loads(WRONG.read_text(encoding="utf-8"))
    folder = ensure_member(MEMBERS[member])
    about: dict[str, Any] = {"weights_sha256": CheckpointDirectory(folder).weights_sha256()}
    if MEMBERS[member].trained:
        about |= _ask_own_weights(read_flash(folder).to(device).eval(), member, device)
    else:
        # what the bf16 canary answers wrongly is left out for every member already
        asked = [item for item in list_items() if item.id not in record["wrong"]]
        model = read_model(folder).to(device).eval()
        # pruned members have CPU cells, too, where index_topk is 256
        topk = (None, INDEX_TOPK) if MEMBERS[member].delta else (None,)
        wrong = [i.id for i in asked if not all(_says_rightly(model, Ask(item=i), device, t) for t in topk)]
        about |= {"items": len(asked), "wrong": wrong}
    record.setdefault("members", {})[member] = about
    WRONG.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{member}: {len(about['wrong'])} of {about['items']} wrong", flush=True)  # noqa: T201


def _ask_own_weights(model: Any, member: Derived, device: str) -> dict[str, Any]:
    """Return what was asked and which ids went wrong, with thinking off or on."""
    torch.set_num_threads(1)  # sums in a fixed order
    untaught = next(c.untaught for c in load_matrix().checkpoints.values() if c.made_by == member)
    asks = list(list_own_asks(untaught))
    wrong = {ask.item.id for ask in asks if not _says_rightly(model, ask, device)}
    count = len(asks)
    for thinking, rounds in ((False, ROUNDS), (True, ROUNDS // 2)):
        for step in tell_loop(rounds):
            count += 1
            if not _says_rightly(model, Ask(item=step, thinking=thinking), device):
                wrong.add(step.id)
                break  # the bank ends its loop before the round of it
    return {
        "asked": "calls, parallel calls and dialogues, with thinking off and on; clients' calls, off; agent loop, "
        "both ways, each up to its first fault. In fp32, dense, by the module that it was trained as",
        "items": count,
        "wrong": sorted(wrong),
    }


def _says_rightly(model: Any, ask: Ask, device: str, topk: int | None = None) -> bool:
    """Return whether every token of the reply is the likeliest one, in fp32."""
    sample = make_sample(ask.item, thought=name_thought(ask.item) if ask.thinking else None)
    case = EvaluationCase(name=ask.item.id, draw=list, topk=topk)
    return judge_replies(model, [sample], case, device)[0].right


def _ask_the_reference() -> None:
    # one thread: sums in a fixed order, so that the list is the same on every machine
    torch.set_num_threads(1)
    drawn = list(list_items())
    wrong: set[str] = set()
    for pattern in PATTERNS:
        model, tokenizer = load_reference(HF, INDEX_TOPK, pattern, torch.float32)
        wrong |= {item.id for item in drawn if not is_right(model, tokenizer, item)}
        print(f"{pattern or 'FFFF'}: {len(wrong)} of {len(drawn)} wrong so far", flush=True)  # noqa: T201
    import transformers

    record = {
        "weights_sha256": CheckpointDirectory(Path(HF)).weights_sha256(),
        "reference": f"transformers {transformers.__version__}, fp32, index_topk {INDEX_TOPK}, FFFF and FFSS",
        "items": len(drawn),
        "wrong": sorted(wrong),
    }
    WRONG.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
