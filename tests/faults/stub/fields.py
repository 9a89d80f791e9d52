"""Fields of a request that never reach the engine, or only half."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.faults.stub.answers import make_call
from tests.faults.stub.defect import Answer, Asked, Defect, Json, retold, when
from tests.faults.stub.replies import spent
from tests.faults.suite_tests import (
    BIASED,
    CHOICES_SEEDED,
    CHOICES_THOUGHT,
    CUT_CALL,
    FILLED,
    HELD_BACK,
    HOT_TEXTS,
    LEFT,
    OWN_WORDS,
    PENALTY,
    SEEDED,
    SEVERAL,
    STOPPED,
    STOPPED_ANY,
)

ASKED_BEFORE = 4  # requests: the first answer is right


def _sends_the_stop(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, content=answer.content + asked.stop) if asked.stop else answer


def _lose_a_beginning(answer: Answer, asked: Asked) -> Answer:
    """Drop a last letter that may begin the stop string: it waits for what follows, and nothing follows."""
    if not (asked.stop and answer.content.endswith(asked.stop[0])):
        return answer
    return replace(answer, content=answer.content[:-1], completion_tokens=spent(answer))


def _other_when_left(answer: Answer, asked: Asked) -> Answer:
    """Add what an abandoned stream had still to say, as a slot does that was not cleared."""
    return (
        replace(answer, content=f"{answer.content} and more")
        if asked.number > ASKED_BEFORE and not asked.stream and answer.content
        else answer
    )


def _end_second_by_length(told: list[Json]) -> list[Json]:
    told[0]["choices"][1]["finish_reason"] = "length"
    return told


def _tell_cut_call(answer: Answer, asked: Asked) -> Answer:
    wanted = asked.item.call if asked.item else ()
    if not wanted or answer.calls or answer.finish_reason != "length":
        return answer
    call = make_call(0, wanted[0])
    half = replace(call, arguments=call.arguments[: len(call.arguments) // 2])
    return replace(answer, content="", calls=(half,), finish_reason="tool_calls", completion_tokens=asked.room)


DEFECTS: Mapping[str, Defect] = {
    "sends_the_stop_string": Defect(
        does="the answer contains the stop string at its end", family="fields", kills=(STOPPED,), damage=_sends_the_stop
    ),
    "ignores_stop_in_streams": Defect(
        does="the engine ignores stop, only in streams",
        family="fields",
        kills=(STOPPED,),
        damage=when(
            lambda asked: asked.stream and bool(asked.stop), lambda a, asked: replace(a, content=asked.unstopped)
        ),
    ),
    "loses_what_a_stop_string_held": Defect(
        does="a stream whose end begins a stop string, and does not go on, lacks that end",
        family="fields",
        kills=(HELD_BACK,),
        damage=when(lambda asked: bool(asked.stop) and asked.stream, _lose_a_beginning),
    ),
    "stops_at_half_a_stop_string": Defect(
        does="the first letter of a stop string at the end of a whole reply is taken for the stop string",
        family="fields",
        kills=(HELD_BACK,),
        damage=when(lambda asked: not asked.stream, _lose_a_beginning),
    ),
    "reads_the_first_stop_string_only": Defect(
        does="the engine stops at the first of several stop strings only",
        family="fields",
        kills=(STOPPED_ANY,),
        damage=when(
            lambda asked: bool(asked.stop) and asked.stop not in asked.unstopped,
            lambda a, asked: replace(a, content=asked.unstopped),
        ),
    ),
    "ignores_the_temperature": Defect(
        does="a sampled answer is the greedy one",
        family="fields",
        kills=(HOT_TEXTS,),
        damage=when(lambda a: a.hot, lambda a, asked: replace(a, content=asked.unstopped, finish_reason="stop")),
    ),
    "samples_with_its_own_seed": Defect(
        does="every sampled answer is drawn with the same seed, whatever the request says",
        family="fields",
        kills=(HOT_TEXTS,),
        damage=when(lambda a: a.hot, lambda a, asked: replace(a, content=" sea tin owl")),
    ),
    "ignores_top_k": Defect(
        does="top_k never reaches the sampler",
        family="fields",
        kills=(HOT_TEXTS,),
        damage=when(
            lambda a: a.sampled and not a.hot, lambda a, asked: replace(a, content=f"{a.content} tin {asked.number}")
        ),
    ),
    "stops_as_length": Defect(
        does="a reply that a stop string ended has finish_reason length",
        family="fields",
        kills=(STOPPED,),
        damage=when(lambda asked: bool(asked.stop), lambda a, asked: replace(a, finish_reason="length")),
    ),
    "ignores_biases": Defect(
        family="fields",
        kills=(BIASED,),
        damage=when(lambda asked: asked.biased, lambda a, asked: replace(a, content="I would rather talk on.")),
    ),
    "choices_differ": Defect(
        does="two choices of one greedy request differ",
        family="fields",
        kills=(SEVERAL,),
        damage=lambda a, asked: replace(a, choices=(a.content, f"{a.content}!")),
    ),
    "choices_share_an_index": Defect(
        does="both choices of a reply have index 0",
        family="fields",
        kills=(SEVERAL,),
        damage=lambda a, asked: replace(a, choices=(a.content, a.content), index=0),
    ),
    "one_choice_for_two": Defect(
        does="the engine returns one choice for n=2",
        family="fields",
        kills=(SEVERAL,),
        damage=lambda a, asked: replace(a, choices=(a.content,)),
    ),
    "fails_on_choices": Defect(
        does="a request with n=2 gets HTTP 500",
        family="fields",
        kills=(SEVERAL,),
        damage=when(lambda asked: asked.n > 1, lambda a, asked: replace(a, status=500)),
    ),
    "ignores_seeds": Defect(
        does="two sampled requests with the same seed get different answers",
        family="fields",
        kills=(SEEDED,),
        damage=when(lambda a: a.sampled, lambda a, asked: replace(a, content=f"{a.content[9:]} {asked.number}")),
    ),
    "seeds_the_first_choice_only": Defect(
        does="of two sampled choices the second one ignores the seed",
        family="fields",
        kills=(CHOICES_SEEDED,),
        damage=when(
            lambda a: a.n > 1 and a.sampled and not a.greedy,
            lambda a, asked: replace(a, choices=(a.content, f"{a.content} {asked.number}")),
        ),
    ),
    "second_choice_ends_by_length": Defect(
        does="the second of two choices has finish_reason length",
        family="fields",
        kills=(SEVERAL,),
        damage=when(lambda a: a.n > 1 and not a.stream, retold(_end_second_by_length)),
    ),
    "second_choice_thinks_in_the_content": Defect(
        does="the second of two choices has its thought in front of the answer, the first one has it apart",
        family="fields",
        kills=(CHOICES_THOUGHT,),
        damage=when(
            lambda a: a.n > 1 and a.thinking,
            lambda a, asked: replace(a, choices=(a.content, f"{a.reasoning} {a.content}")),
        ),
    ),
    "stop_strings_match_the_prompt": Defect(
        does="a reply is empty where its stop string stands in the prompt",
        family="fields",
        kills=(OWN_WORDS,),
        damage=when(lambda a: bool(a.stop) and a.stop in a.prompt, lambda a, asked: replace(a, content="")),
    ),
    "ignores_penalties": Defect(
        does="frequency_penalty never reaches the sampler",
        family="fields",
        kills=(PENALTY,),
        damage=when(lambda a: a.penalised, lambda a, asked: replace(a, content=asked.unstopped)),
    ),
    "cut_calls_are_calls": Defect(
        does="a call that max_tokens cut arrives with half of its arguments and finish_reason tool_calls",
        family="fields",
        kills=(CUT_CALL,),
        damage=_tell_cut_call,
    ),
    "fails_at_the_end_of_the_context": Defect(
        does="a reply that fills the context to its last token gets HTTP 500",
        family="fields",
        kills=(FILLED,),
        damage=when(lambda a: a.fills, lambda a, asked: replace(a, status=500)),
    ),
    "keeps_what_was_left": Defect(
        does="an answer after an abandoned stream ends with text that the stream did not deliver",
        family="fields",
        kills=(LEFT,),
        damage=_other_when_left,
    ),
}
