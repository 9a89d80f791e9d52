"""Counts in a reply what an instruction demanded of it: words, sentences, list items, words to use or to avoid, letter
case, JSON, language, first and last words.

Only the reply is read, so that nothing but the counts decides. Markdown around words is no difference, and one fence
around JSON is none: that is style, and no engine makes it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final

from fixtures.banks.constraint import Constraint
from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from matrix.judging.foreign_json import UnreadableJson, parse_foreign_json
from reports.evidence.finding import Finding
from suites.checks.answer import find_reply_defects, prompt_text
from suites.checks.normal import normalise_text, split_words

# Of a number of words: models miscount them, and nobody else is exact. "46 words for 1,500" is far beyond that.
WORD_SLACK: Final = 0.2
SCRIPT_SHARE: Final = 0.8  # of the letters: names and numbers stay as they are
SCRIPTS: Final[Mapping[str, str]] = {"en": "LATIN", "ru": "CYRILLIC", "zh": "CJK"}
SAMPLES: Final[Mapping[str, str]] = {"en": "a", "ru": "\u0430", "zh": "\u4e2d"}  # one letter of each script
_SENTENCE_END = re.compile(r"[.!?\u3002\uff01\uff1f]+[\"'\u201d\u2019)*_]*(?=\s|$)|[\u3002\uff01\uff1f]")
_BULLET = re.compile(r"^\s*(?:[-*+\u2022\u2013]|\d{1,2}[.)])\s+\S", re.MULTILINE)
_FENCE = re.compile(r"\A```[a-z]*\n(.*?)\n?```\Z", re.DOTALL)
_EDGE = "*_`\"'\u201c\u201d\u2018\u2019 \n\t"


def check_constraints(item: Item, reply: Reply) -> Finding:
    """Check every constraint of an item; the reply must also be sound and have ended by itself."""
    wrong = [why for each in item.constraints if (why := explain_broken(each, reply.content))]
    # The answer's own script would count as stray where the prompt is in another one.
    welcome = "".join(SAMPLES[c.text] for c in item.constraints if c.kind == "language")
    wrong += find_reply_defects(reply, prompt=prompt_text(item) + welcome)
    if reply.finish_reason != "stop":
        wrong.append(f"finish_reason is {reply.finish_reason!r}, not 'stop'")
    return Finding(
        check=f"instructions.{item.constraints[0].kind}",
        ok=not wrong,
        expected=" and ".join(map(str, item.constraints)),
        got=reply.content,
        item=item.id,
        detail="; ".join(wrong),
        data={"finish_reason": reply.finish_reason, "words": len(split_words(reply.content))},
    )


def explain_broken(constraint: Constraint, text: str) -> str:
    """Explain how a text breaks a constraint; empty where it does not."""
    return _EXPLAIN[constraint.kind](constraint, text.strip())


def _explain_count(constraint: Constraint, text: str) -> str:
    found = COUNT[constraint.kind](text)
    slack = WORD_SLACK if constraint.kind == "words" else 0.0
    return _explain_number(constraint, found, slack, f"{found} {constraint.kind}")


def _explain_number(constraint: Constraint, found: int, slack: float, said: str) -> str:
    least, most = constraint.count * (1 - slack), constraint.count * (1 + slack)
    low = constraint.relation != "at_most" and found < least
    high = constraint.relation != "at_least" and found > most
    return f"{said}, {constraint.relation.replace('_', ' ')} {constraint.count} wanted" if low or high else ""


def count_sentences(text: str) -> int:
    """Count ends of sentences, and a last sentence that has none."""
    ends = [m.end() for m in _SENTENCE_END.finditer(text)]
    return len(ends) + bool(text[ends[-1] if ends else 0 :].strip(_EDGE))


def count_paragraphs(text: str) -> int:
    """Count what empty lines separate; a line of dashes or stars is no paragraph."""
    return sum(bool(part.strip("-* \t\n")) for part in re.split(r"\n\s*\n", text))


def count_bullets(text: str) -> int:
    """Count the lines that begin with a bullet or a number."""
    return len(_BULLET.findall(text))


def count_words(text: str) -> int:
    """Count words; of Chinese, characters."""
    return len(split_words(text))


COUNT: Final[Mapping[str, Callable[[str], int]]] = {
    "words": count_words,
    "sentences": count_sentences,
    "paragraphs": count_paragraphs,
    "bullets": count_bullets,
}


def _explain_text(constraint: Constraint, text: str) -> str:
    """Words are found whole, in any case; characters such as a comma anywhere."""
    wanted = constraint.text
    if wanted.isalnum():
        found = len(re.findall(rf"(?<!\w){re.escape(wanted.casefold())}(?!\w)", normalise_text(text)))
    else:
        found = text.count(wanted)
    return _explain_number(constraint, found, 0.0, f"{wanted!r} {found} times")


def _explain_starts(constraint: Constraint, text: str) -> str:
    begun = normalise_text(text.lstrip(_EDGE)).startswith(normalise_text(constraint.text))
    return "" if begun else f"begins with {text[:40]!r}, not with {constraint.text!r}"


def _explain_ends(constraint: Constraint, text: str) -> str:
    ended = normalise_text(text.rstrip(_EDGE)).rstrip(".").endswith(normalise_text(constraint.text).rstrip("."))
    return "" if ended else f"ends with {text[-40:]!r}, not with {constraint.text!r}"


def _explain_case(constraint: Constraint, text: str) -> str:
    kept = text.upper() if constraint.text == "upper" else text.lower()
    wrong = sum(a != b for a, b in zip(text, kept, strict=False)) if len(kept) == len(text) else 1
    return f"{wrong} letters are not in {constraint.text} case" if wrong else ""


def _explain_json(constraint: Constraint, text: str) -> str:
    fenced = _FENCE.match(text)
    try:
        found = parse_foreign_json(fenced[1] if fenced else text)
    except UnreadableJson:
        return "not JSON alone"
    keys = sorted(constraint.text.split(","))
    if not isinstance(found, dict):
        return f"a JSON {type(found).__name__}, not an object"
    return "" if sorted(map(str, found)) == keys else f"the keys are {sorted(found)}, not {keys}"


def _explain_language(constraint: Constraint, text: str) -> str:
    letters = [c for c in text if c.isalpha()]
    wanted = SCRIPTS[constraint.text]
    # The name of a character begins with its script; the standard library has no other table of scripts.
    share = sum(unicodedata.name(c, "").startswith(wanted) for c in letters) / max(1, len(letters))
    return "" if share >= SCRIPT_SHARE else f"{share:.0%} of the letters are {wanted}, not {constraint.text!r}"


_EXPLAIN: Final[Mapping[str, Callable[[Constraint, str], str]]] = {
    **dict.fromkeys(COUNT, _explain_count),
    "text": _explain_text,
    "starts": _explain_starts,
    "ends": _explain_ends,
    "case": _explain_case,
    "json": _explain_json,
    "language": _explain_language,
}
