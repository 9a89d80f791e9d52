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
    """Append the answer of the request before this one."""
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
    "repeats": Defect(
        does="the engine ends each answer with 40 copies of `and so on`",
        family="text",
        kills=ALL_TEXT,
        damage=words(lambda t: t + " and so on" * 40),
    ),
    "loops_in_long_text": Defect(
        does="a long text repeats 40 of its characters 30 times after the first 200",
        family="text",
        kills=(TEXT,),
        damage=when(lambda a: a.kind.startswith("long"), words(lambda t: t[:200] + t[-40:] * 30)),
    ),
    "says_everything_twice": Defect(
        does="the engine writes a long text twice",
        family="text",
        kills=(TEXT,),
        damage=when(lambda a: a.kind.startswith("long"), words(lambda t: t + " " + t)),
    ),
    "gibberish": Defect(
        does="every answer is one line of random letters and signs",
        family="text",
        kills=(*ALL_TEXT, TEXT, MISSING),
        damage=says(GARBLED),
    ),
    "gibberish_after_a_while": Defect(
        does="a long text turns into random letters after 120 characters",
        family="text",
        kills=(TEXT,),
        damage=when(lambda a: a.kind.startswith("long"), words(lambda t: t[:120] + f" {GARBLED}" * 9)),
    ),
    "switches_language": Defect(family="text", kills=(*ALL_TEXT, TEXT), damage=words(lambda t: t + RUSSIAN)),
    "truncates": Defect(
        does="the engine drops the last third of every answer",
        family="text",
        kills=(FACTS, RECALL, TEXT),
        damage=words(lambda t: t[: max(1, len(t) * 2 // 3)]),
    ),
    "mojibake": Defect(family="text", kills=(*ALL_TEXT, TEXT), damage=words(lambda t: t + " caf\ufffd\ufffd")),
    "double_encoded": Defect(
        does="an apostrophe arrives as UTF-8 that was encoded twice (`â€™`)",
        family="text",
        kills=ALL_TEXT,
        damage=words(lambda t: t + " Itâ\u0080\u0099s so."),
    ),
    "empty_200": Defect(
        family="text",
        kills=(*ANY_REPLY, NO_TOOL, MISSING, WITHIN, BEYOND, INVENTS),
        damage=always(content="", calls=(), finish_reason="stop", completion_tokens=0),
    ),
    "leaks_special_tokens": Defect(
        does="every answer ends with the special token `<|user|>`",
        family="text",
        kills=ALL_TEXT,
        damage=words(lambda t: t + "<|user|>"),
    ),
    "wrong_facts": Defect(
        does="the engine answers each question about a fact with `It is Atlantis.`",
        family="text",
        kills=(FACTS,),
        damage=about("fact chat", says("It is Atlantis.")),
    ),
    "wrong_sums": Defect(
        does="the engine answers each sum with 7777777",
        family="text",
        kills=(SUMS,),
        damage=about("arithmetic sum", says("The result is 7777777.")),
    ),
    "forgets_turns": Defect(
        does="the engine answers that it was not told what an earlier turn told it",
        family="text",
        kills=(RECALL,),
        damage=about("recall recall_long", says("You did not tell me.")),
    ),
    "cross_request_bleed": Defect(
        does="every second answer is the answer to a question that this client did not ask",
        family="text",
        kills=(FACTS,),
        damage=_bleed,
    ),
    "leaks_the_answer_before": Defect(
        does="each answer ends with the answer to the request before it",
        family="text",
        kills=(MARKERS, FACTS),
        damage=_leaks,
    ),
    "leaks_in_parallel": Defect(
        does="an answer ends with another request's answer while two requests are in flight",
        family="text",
        kills=(MARKERS,),
        damage=_leaks_in_parallel,
    ),
    "swaps_in_parallel": Defect(
        does="two requests in flight: the later one gets the earlier one's answer",
        family="text",
        kills=(MARKERS,),
        damage=_swaps_in_parallel,
    ),
    "stops_long_texts_early": Defect(
        does="a long text ends at its first full stop after 200 characters",
        family="text",
        kills=(TEXT,),
        damage=about("long_generation", words(lambda t: t[: t.index(".", 200) + 1])),
    ),
    "garbage_beyond_900_tokens": Defect(
        does="a prompt over 900 tokens gets random letters",
        family="text",
        kills=(LENGTHS,),
        damage=when(lambda a: a.prompt_tokens > 900, about("needle", says(GARBLED))),
    ),
    "garbled_when_sampled": Defect(
        does="an answer at a temperature above 0 ends with random letters",
        family="text",
        kills=(SAMPLED,),
        damage=when(lambda a: a.sampled, words(lambda t: f"{t} {GARBLED}")),
    ),
    "wrong_under_load": Defect(
        family="text",
        kills=(RIGHT_UNDER_LOAD,),
        damage=when(lambda a: a.loads > 0, about("fact chat", says("It is Atlantis."))),
    ),
}
