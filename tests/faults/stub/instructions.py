"""Length and form: sound text of another length, or without what was asked of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from tests.faults.stub.answers import tokens
from tests.faults.stub.defect import Answer, Asked, Defect, about, when, words
from tests.faults.suite_tests import COUNTABLE, COUNTED, CUT_SHORT, EXACT, GOES_ON

CONSTRAINED = "constrained"
HELD_TOKENS = 3
KEPT_WORDS = 46  # of a request for 1,500, as users report


def _is_cut(answer: Answer, asked: Asked) -> bool:
    return answer.finish_reason == "length" and not asked.load


def _say_stop(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, finish_reason="stop") if _is_cut(answer, asked) else answer


def _lose_the_last(answer: Answer, asked: Asked) -> Answer:
    """Drop the last token: the limit is off by one, as if the prompt's last token counted."""
    kept = tokens(answer.content)[:-1]
    return replace(answer, content="".join(kept)) if _is_cut(answer, asked) else answer


def _lose_what_it_held(answer: Answer, asked: Asked) -> Answer:
    """Drop the text that waits for what follows, as if it began a stop string or a tag, where the limit ends it."""
    if answer.finish_reason != "length":
        return answer
    kept = "".join(tokens(answer.content)[:-HELD_TOKENS])
    return replace(answer, content=kept, completion_tokens=len(tokens(answer.content)))


def _say_nothing(answer: Answer, asked: Asked) -> Answer:
    if answer.finish_reason != "length":
        return answer
    return replace(answer, content="", completion_tokens=len(tokens(answer.content)))


def _ignore_limit(answer: Answer, asked: Asked) -> Answer:
    whole = asked.item.answer if asked.item else None
    if not _is_cut(answer, asked) or not whole:
        return answer
    return replace(answer, content=whole, completion_tokens=len(tokens(answer.content)))


def _end_at_eos(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, content=asked.item.answer or "", finish_reason="stop") if asked.item else answer


DEFECTS: Mapping[str, Defect] = {
    "goes_on_behind_its_end": Defect(
        family="instructions",
        kills=(EXACT,),
        damage=about("echo chat fact", words(lambda t: f"{t} The harbour is quiet.")),
    ),
    "ends_at_the_first_full_stop": Defect(
        does="a text that the engine shall repeat ends at its first full stop",
        family="instructions",
        kills=(EXACT,),
        damage=about("echo", words(lambda t: t[: t.index(".") + 1])),
    ),
    "cuts_one_token_early": Defect(
        does="a reply that max_tokens cuts is one token too short",
        family="instructions",
        kills=(CUT_SHORT,),
        damage=_lose_the_last,
    ),
    "loses_what_it_held_at_its_limit": Defect(
        does="text that the engine held back is lost where max_tokens ends a reply; usage and finish_reason are right",
        family="instructions",
        kills=(CUT_SHORT, GOES_ON),
        damage=_lose_what_it_held,
    ),
    "says_nothing_at_its_limit": Defect(
        does="a reply that max_tokens ends is empty; usage and finish_reason are right",
        family="instructions",
        kills=(CUT_SHORT, GOES_ON),
        damage=_say_nothing,
    ),
    "loses_what_its_streams_held": Defect(
        does="a stream that max_tokens ends lacks its last words; usage and finish_reason are right",
        family="instructions",
        kills=(CUT_SHORT,),
        damage=when(lambda asked: asked.stream, _lose_what_it_held),
    ),
    "ignores_its_limit_and_counts_it": Defect(
        does="max_tokens does not end a reply, and usage and finish_reason say that it did",
        family="instructions",
        kills=(CUT_SHORT,),
        damage=_ignore_limit,
    ),
    "says_stop_where_it_cuts": Defect(family="instructions", kills=(CUT_SHORT,), damage=_say_stop),
    "ignores_ignore_eos": Defect(
        family="instructions", kills=(GOES_ON,), damage=when(lambda asked: asked.load, about("echo", _end_at_eos))
    ),
    "answers_in_46_words": Defect(
        does="the engine writes at most 46 words, whatever length was asked for",
        family="instructions",
        kills=(COUNTABLE,),
        damage=about(CONSTRAINED, words(lambda t: " ".join(t.split(" ")[:KEPT_WORDS]).rstrip(".,") + ".")),
    ),
    "says_more_than_asked": Defect(
        does="the answer ends with `Shall I go on?`",
        family="instructions",
        kills=(COUNTABLE,),
        damage=about(CONSTRAINED, words(lambda t: f"{t} Shall I go on?")),
    ),
    "later_turns_lose_the_system_message": Defect(
        does="the system message of a conversation of several turns never reaches the engine",
        family="protocol",
        kills=(COUNTED,),
        damage=when(
            lambda a: a.systems > 0 and a.messages > 2,
            lambda a, asked: replace(a, prompt_tokens=a.prompt_tokens - asked.systems),
        ),
    ),
    "begins_with_a_greeting": Defect(
        does="the answer begins with `Sure, here you go:`",
        family="instructions",
        kills=(COUNTABLE,),
        damage=about(CONSTRAINED, words(lambda t: f"Sure, here you go: {t}")),
    ),
    "loses_line_breaks": Defect(
        does="the answer has spaces instead of line breaks",
        family="instructions",
        kills=(COUNTABLE,),
        damage=about(CONSTRAINED, words(lambda t: " ".join(t.split()))),
    ),
    "loses_case": Defect(
        does="the answer has lower-case letters only, after the first one",
        family="instructions",
        kills=(COUNTABLE,),
        damage=about(CONSTRAINED, words(lambda t: t.capitalize())),
    ),
    "answers_in_english": Defect(
        does="words in other scripts become the English word `quiet`",
        family="instructions",
        kills=(COUNTABLE,),
        damage=about(CONSTRAINED, words(lambda t: re.sub(r"[^\x00-\x7f]+", "quiet", t))),
    ),
    "loses_the_system_message": Defect(
        does="the engine ignores the system message",
        family="instructions",
        kills=(COUNTABLE,),
        damage=when(
            lambda asked: asked.messages > 1, about(CONSTRAINED, words(lambda t: "Here, as always, is a quiet place."))
        ),
    ),
}
