"""Records the logprobs of frozen prompts, below and beyond index_topk, as the signature of an engine's numbers.

Every cell records one (test_boot). Reports compare a feature cell with its baseline afterwards, from the evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.client.reply import Reply
from matrix.judging.logprobs import find_unsound, read_logprobs
from matrix.model import Cell
from reports.evidence.finding import Finding, as_json_number
from suites.asking import lengths
from suites.checks.own_tokens import explain_other_tokens

TOP = 5  # candidates per position: enough to tell launches apart, and every engine allows it
MAX_TOKENS = 24
UNSURE = "unsure"
CROWD = "crowd"
UNSURE_TOKENS = 8  # of an answer that nobody can know: up to the name that is made up, or the code that is taken
DEPTH = 0.3


def index_topk(cell: Cell, settings: Mapping[str, Any]) -> int:
    """Return the value that the launch sets, else the checkpoint's."""
    return int(settings.get("index_topk", cell.checkpoint.index_topk))


def make_prompts(bank: Bank, *, topk: int, settings: Mapping[str, Any]) -> dict[str, Item]:
    """Make the frozen prompts: a needle within index_topk and, if the context holds it, one beyond."""
    sizes = {"short": lengths.within_index_topk(settings, topk), "long": lengths.just_beyond(settings, topk)}
    return {name: bank.needle(tokens=n, depth=DEPTH) for name, n in sizes.items() if n is not None}


def make_all_prompts(bank: Bank, *, topk: int, settings: Mapping[str, Any], one_text: bool = False) -> dict[str, Item]:
    """Make the frozen prompts and, if the bank has one that fits, a prompt beyond index_topk that the model cannot
    answer. A confident answer hides attention differences; on this prompt each IndexCache pattern yields a different
    answer. `one_text`: its text goes on where the long prompt's ends, for engines that keep prefixes."""
    unsure = _keep_fitting(bank.unsure(index_topk=topk, one_text=one_text), settings)
    return {**make_prompts(bank, topk=topk, settings=settings), **({UNSURE: unsure} if unsure else {})}


def make_crowd(bank: Bank, *, topk: int, settings: Mapping[str, Any]) -> Item | None:
    """Make the prompt on which sparse and dense attention part; None where the bank has none or the context is
    shorter."""
    return _keep_fitting(bank.crowd(index_topk=topk), settings)


def _keep_fitting(item: Item | None, settings: Mapping[str, Any]) -> Item | None:
    about = 0 if item is None else item.tokens_prompt_about or 0
    return item if lengths.cap_to_context(settings, about) == about else None


def max_tokens(item: Item) -> int:
    """Return how many tokens of an answer are compared."""
    return UNSURE_TOKENS if item.kind in (UNSURE, CROWD) else MAX_TOKENS


def check_logprobs(client: Client, bank: Bank, *, topk: int, settings: Mapping[str, Any]) -> list[Finding]:
    """Yield one finding per prompt; its `data` holds the logprobs, so that two launches can be compared afterwards."""
    return [
        _check_prompt(client, item, name, topk)
        for name, item in make_prompts(bank, topk=topk, settings=settings).items()
    ]


def ask_for_logprobs(client: Client, item: Item) -> Reply:
    return client.ask(item, top_logprobs=TOP, max_tokens=max_tokens(item))


def _check_prompt(client: Client, item: Item, name: str, topk: int) -> Finding:
    reply = ask_for_logprobs(client, item)
    wrong = _find_wrong(reply, name, topk)
    written = [
        {token: as_json_number(value) for token, value in position.items()}
        for position in read_logprobs(reply.logprobs)
    ]
    return Finding(
        check=f"signature.{name}",
        ok=not wrong,
        expected=f"logprobs of a prompt {'beyond' if name == 'long' else 'within'} {topk} tokens",
        got=f"{len(reply.logprobs)} positions, {reply.prompt_tokens} prompt tokens: {reply.content[:80]!r}",
        item=item.id,
        detail=wrong,
        sensitive=bool(reply.logprobs),
        data={"prompt_tokens": reply.prompt_tokens, "signature": written},
    )


def _find_wrong(reply: Reply, name: str, topk: int) -> str:
    """Explain what is wrong with the logprobs. An engine without logprobs leaves no signature, which is no fault;
    NaN is one."""
    if wrong := find_unsound(reply.logprobs) or explain_other_tokens(reply):
        return wrong
    if any(value > 0 for p in read_logprobs(reply.logprobs) for value in p.values()):
        return "a logprob is positive"
    count = reply.prompt_tokens
    if count is not None and (count > topk) != (name == "long"):
        return f"the prompt has {count} tokens, on the wrong side of index_topk {topk}"
    return ""
