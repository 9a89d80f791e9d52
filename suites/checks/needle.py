"""Checks that attention reached a place in a long prompt: an unguessable code comes back only if the model read it.

A prompt of `index_topk` tokens or fewer selects every token and cannot test sparse attention. Its finding is marked
insensitive when the test is about sparse attention.
"""

from __future__ import annotations

import re

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding
from suites.checks.answer import find_reply_defects, prompt_text
from suites.checks.frozen import prompt_sha256
from suites.checks.normal import contains_words

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# One code in 360 has no digit (abcacf): six letters count too, unless they are one of English's words of a to f.
_LETTERS = r"(?!(?:facade|decade|accede|deface|efface|beaded)\b)[a-f]{6}"
_HEX = r"(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{6,32}"
CODE = re.compile(rf"(?<![\w-])(?:{_UUID}|{_HEX}|{_LETTERS}|\d{{6}})(?![\w-])")
BITS_PER_DIGIT = 4
UNGUESSABLE_BITS = 24  # 6 hex digits: one lucky hit in 16.7 million trials
ABSENCE = re.compile(
    r"\b(?:no|not|none|never|isn't|doesn't|does not|cannot|can't|couldn't|unable|without|missing|absent|unknown"
    r"|n/a)\b|没有|未|无法|不存在|找不到",
    re.IGNORECASE,
)


def find_codes(content: str) -> list[str]:
    """Find every text that looks like a code, in order.

    >>> find_codes("The code is 3fa91c, not facade or 12.")
    ['3fa91c']
    """
    return CODE.findall(content.lower())  # models write codes in capitals, too


def check_needle(item: Item, reply: Reply, *, index_topk: int | None, check: str = "needle.found") -> Finding:
    """Check that the reply holds all expected codes and no other. With `index_topk`, a prompt that is not longer
    makes the finding insensitive."""
    wanted, said = find_codes(item.answer or ""), find_codes(reply.content)
    wrong = [*_find_unfair(item, wanted), *_find_missed(wanted, said), *_find_not_asked(item, wanted, said)]
    wrong += find_reply_defects(reply, prompt=prompt_text(item))
    # The server's count decides, since its template and tokenizer fill the index; the bank's guess stands in for it.
    prompt = reply.prompt_tokens if reply.prompt_tokens is not None else item.tokens_prompt_about or 0
    return Finding(
        check=check,
        ok=not wrong,
        expected=item.answer or "",
        got=reply.content,
        item=item.id,
        detail="; ".join(wrong),
        sensitive=index_topk is None or prompt > index_topk,
        data={
            "prompt_tokens": prompt,
            "index_topk": index_topk,
            "cached_tokens": reply.cached_tokens,
            "prompt_sha256": prompt_sha256(item),
        },
    )


def _find_unfair(item: Item, wanted: list[str]) -> list[str]:
    """Find the fault of an item whose code can be guessed or is not in the prompt: such an item proves nothing."""
    if not wanted:
        return ["unfair item: its answer has no code"]
    hay = prompt_text(item).lower()
    bits = min(BITS_PER_DIGIT * len(w.replace("-", "")) for w in wanted)
    absent = [w for w in wanted if w not in hay]
    wrong = [f"unfair item: {absent} not in the text"] if absent else []
    if bits < UNGUESSABLE_BITS:
        wrong.append(f"unfair item: a code of {bits} bits can be guessed")
    return wrong


def _find_missed(wanted: list[str], said: list[str]) -> list[str]:
    missed = [w for w in wanted if w not in said]
    return [f"{missed} not in the reply"] if missed else []


def _find_not_asked(item: Item, wanted: list[str], said: list[str]) -> list[str]:
    hay = prompt_text(item).lower()
    wrong = []
    for code in dict.fromkeys(said):
        if code not in wanted:
            wrong.append(f"{code} is a {'decoy' if code in hay else 'made-up code'}")
    return wrong


def check_not_invented(item: Item, reply: Reply) -> Finding:
    """Check the negative control: for a code that does not exist, the model must say so and give none."""
    said = find_codes(reply.content)
    wrong = find_reply_defects(reply, prompt=prompt_text(item))
    if said:
        wrong.append(f"gave {said} where there is no code")
    # NUL is in no reply: an item without an answer is held against the words of absence alone.
    if not (ABSENCE.search(reply.content) or contains_words(reply.content, item.answer or "\0")):
        wrong.append("does not say that there is none")
    return Finding(
        check="needle.not_invented",
        ok=not wrong,
        expected=item.answer or "a statement that there is no such code",
        got=reply.content,
        item=item.id,
        detail="; ".join(wrong),
        data={"prompt_tokens": reply.prompt_tokens, "prompt_sha256": prompt_sha256(item)},
    )
