"""Words: what broken kernels, caches and detokenizers make of a right answer, and other requests' words in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.faults.stub.defect import HELD_S, Answer, Asked, Defect, about, always, says, when, words
from tests.faults.suite_tests import (
    ALL_TEXT,
    ANY_REPLY,
    BEYOND,
    FACTS,
    INVENTS,
    LENGTHS,
    MARKERS,
    MISSING,
    NO_TOOL,
    RECALL,
    RIGHT_UNDER_LOAD,
    SAMPLED,
    SUMS,
    TEXT,
    WITHIN,
)

GARBLED = "quam ###fe vexil,,of 7g tro-lla ]] plin xqz;; brond @@ ewt §§ {{ zz %% oo && jj"
RUSSIAN = " Однако это предложение вдруг продолжается на другом языке, и так до конца."


def _bleed(answer: Answer, asked: Asked) -> Answer:
    """Every second answer is another request's."""
    return replace(answer, content="The capital of Atlantis is Poseidonis.") if asked.number % 2 == 0 else answer


def _leaks(answer: Answer, asked: Asked) -> Answer:
    """The answer of the request before this one stands behind the own one."""
    other = asked.before.answer if asked.before else None
    if not other or not answer.content or (asked.item and asked.item.answer == other):
        return answer
    return replace(answer, content=f"{answer.content} {other}")


def _leaks_in_parallel(answer: Answer, asked: Asked) -> Answer:
    """Healthy alone: only requests that meet another one inside get its text too."""
    if asked.kind != "needle":
        return answer
    met = _leaks(answer, asked) if asked.inside > 1 else answer
    return replace(met, hold_s=HELD_S)


def _swaps_in_parallel(answer: Answer, asked: Asked) -> Answer:
    """Two requests inside at once: the later gets the earlier's answer, which is a perfectly good one."""
    held = replace(answer, hold_s=HELD_S) if asked.kind == "needle" else answer
    other = asked.before.answer if asked.before else None
    return replace(held, content=other) if asked.inside > 1 and other and answer.content else held


DEFECTS: Mapping[str, Defect] = {
    "repeats": Defect(family="text", kills=ALL_TEXT, damage=words(lambda t: t + " and so on" * 40)),
    "loops_in_long_text": Defect(
        family="text",
        kills=(TEXT,),
        damage=when(lambda a: a.kind.startswith("long"), words(lambda t: t[:200] + t[-40:] * 30)),
    ),
    "says_everything_twice": Defect(
        family="text",
        kills=(TEXT,),
        damage=when(lambda a: a.kind.startswith("long"), words(lambda t: t + " " + t)),
    ),
    "gibberish": Defect(family="text", kills=(*ALL_TEXT, TEXT, MISSING), damage=says(GARBLED)),
    "gibberish_after_a_while": Defect(
        family="text",
        kills=(TEXT,),
        damage=when(lambda a: a.kind.startswith("long"), words(lambda t: t[:120] + f" {GARBLED}" * 9)),
    ),
    "switches_language": Defect(family="text", kills=(*ALL_TEXT, TEXT), damage=words(lambda t: t + RUSSIAN)),
    "truncates": Defect(
        family="text", kills=(FACTS, RECALL, TEXT), damage=words(lambda t: t[: max(1, len(t) * 2 // 3)])
    ),
    "mojibake": Defect(family="text", kills=(*ALL_TEXT, TEXT), damage=words(lambda t: t + " caf\ufffd\ufffd")),
    "double_encoded": Defect(family="text", kills=ALL_TEXT, damage=words(lambda t: t + " Itâ\u0080\u0099s so.")),
    "empty_200": Defect(
        family="text",
        kills=(*ANY_REPLY, NO_TOOL, MISSING, WITHIN, BEYOND, INVENTS),
        damage=always(content="", calls=(), finish_reason="stop", completion_tokens=0),
    ),
    "leaks_special_tokens": Defect(family="text", kills=ALL_TEXT, damage=words(lambda t: t + "<|user|>")),
    "wrong_facts": Defect(family="text", kills=(FACTS,), damage=about("fact chat", says("It is Atlantis."))),
    "wrong_sums": Defect(family="text", kills=(SUMS,), damage=about("arithmetic sum", says("The result is 7777777."))),
    "forgets_turns": Defect(
        family="text", kills=(RECALL,), damage=about("recall recall_long", says("You did not tell me."))
    ),
    "cross_request_bleed": Defect(family="text", kills=(FACTS,), damage=_bleed),
    "leaks_the_answer_before": Defect(family="text", kills=(MARKERS, FACTS), damage=_leaks),
    "leaks_in_parallel": Defect(family="text", kills=(MARKERS,), damage=_leaks_in_parallel),
    "swaps_in_parallel": Defect(family="text", kills=(MARKERS,), damage=_swaps_in_parallel),
    "stops_long_texts_early": Defect(
        family="text",
        kills=(TEXT,),
        damage=about("long_generation", words(lambda t: t[: t.index(".", 200) + 1])),
    ),
    "garbage_beyond_900_tokens": Defect(
        family="text",
        kills=(LENGTHS,),
        damage=when(lambda a: a.prompt_tokens > 900, about("needle", says(GARBLED))),
    ),
    "garbled_when_sampled": Defect(
        family="text", kills=(SAMPLED,), damage=when(lambda a: a.sampled, words(lambda t: f"{t} {GARBLED}"))
    ),
    "wrong_under_load": Defect(
        family="text",
        kills=(RIGHT_UNDER_LOAD,),
        damage=when(lambda a: a.loads > 0, about("fact chat", says("It is Atlantis."))),
    ),
}
