"""Compares a reply with the answer that its bank item expects: right, wrong or broken."""

from __future__ import annotations

import re

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding
from suites.checks import text
from suites.checks.normal import contains_words, is_number, last_number, split_words

RAMBLE_WORDS = 80  # a direct answer that needs more is hedging: it could list every capital there is
LIST_WORDS_FACTOR = 2  # a long expected answer may be framed, not doubled


def check_answer(item: Item, reply: Reply, *, check: str = "answer.right") -> Finding:
    """Check that the reply contains the expected answer, is sound language and ended by itself."""
    wrong = _find_faults(item, reply)
    return Finding(
        check=check,
        ok=not wrong,
        expected=item.answer or "",
        got=reply.content,
        item=item.id,
        detail="; ".join(wrong),
        data={"finish_reason": reply.finish_reason, "completion_tokens": reply.completion_tokens},
    )


def _find_faults(item: Item, reply: Reply) -> list[str]:
    wrong = find_reply_defects(reply, prompt=prompt_text(item) + (item.answer or ""))
    if reply.finish_reason != "stop":
        wrong.append(f"finish_reason is {reply.finish_reason!r}, not 'stop'")
    if reply.tool_calls:
        wrong.append(f"called {reply.tool_calls[0].name!r} instead of answering")
    if reason := _explain_mismatch(item.answer or "", reply.content):
        wrong.append(reason)
        # A parser's fault with a name of its own: the model was right, and the user sees nothing.
        if not reply.content.strip() and not _explain_mismatch(item.answer or "", reply.reasoning):
            wrong.append("the answer was filed as reasoning")
    return wrong


def find_reply_defects(reply: Reply, *, prompt: str, prose: bool = False) -> list[str]:
    """Find the defects of the content and of the reasoning: a loop or half a character is the engine's fault in either.

    Reasoning need not end in a full stop, and models think in other languages than they are asked in.
    """
    thought = text.find_defects(reply.reasoning, prompt=prompt) if reply.reasoning.strip() else ()
    said = text.find_defects(reply.content, prompt=prompt, prose=prose)
    return [*said, *(f"in the reasoning: {defect}" for defect in thought if not defect.startswith("stray"))]


def _explain_mismatch(answer: str, content: str) -> str:
    if is_number(answer):
        # The last: models repeat the operands before they give the result.
        found = last_number(content)
        return "" if found == last_number(answer) else f"the last number is {found}"
    if not contains_words(content, answer):
        return "the answer is not in the reply"
    limit = max(RAMBLE_WORDS, LIST_WORDS_FACTOR * len(split_words(answer)))
    return f"the answer is buried in {len(split_words(content))} words" if len(split_words(content)) > limit else ""


_ASKED_WORDS = re.compile(r"at least ([\d,]+) words|不少于(一千五百)字")
ASKED_SHARE = 1 / 3  # models miscount their words; a third of what was asked for is another text


def _find_early_stop(item: Item, reply: Reply) -> list[str]:
    """Find a text that stopped by itself long before the length that the prompt requests."""
    asked = _ASKED_WORDS.search(prompt_text(item))
    if asked is None or reply.finish_reason != "stop":
        return []
    # The Chinese prompt spells its number out, in the one form that its pattern accepts.
    wanted, told = int((asked[1] or "1500").replace(",", "")), len(split_words(reply.content))
    return [f"stopped after {told} of {wanted} words"] if told < ASKED_SHARE * wanted else []


def check_text(item: Item, reply: Reply, *, check: str = "text.sound") -> Finding:
    """Check only the form of a text: it has no defect and does not end early."""
    wrong = find_reply_defects(reply, prompt=prompt_text(item), prose=True)
    if reply.finish_reason not in {"stop", "length"}:
        wrong.append(f"finish_reason is {reply.finish_reason!r}")
    if reply.finish_reason == "length":  # cut by the token limit that was asked for: no proper end to expect
        wrong = [w for w in wrong if not w.startswith("truncated")]
    wrong += _find_early_stop(item, reply)
    return Finding(
        check=check,
        ok=not wrong,
        expected="sound text without loops, gibberish, stray script or mojibake",
        got=reply.content,
        item=item.id,
        detail="; ".join(wrong),
        data={"words": len(split_words(reply.content)), "repeated_share": text.repeated_share(reply.content)},
    )


def prompt_text(item: Item) -> str:
    return "\n".join(str(m.get("content") or "") for m in item.messages)
