"""Judges what a parser answered: pure, from the recorded outcome and the corpus alone.

The right answer is what the chat template would have written as this reply (`render.py`). Where the template writes two
answers alike (the text 5 for the number and the string), both are right, but a stream has to say what the whole said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matrix.parsers.corpus import ReplyCase
from matrix.parsers.render import MARKERS, Call, write_value
from matrix.wording import cut_text

# In order of damage: what a client cannot see comes before what it can.
KINDS: Final[Mapping[str, str]] = {
    "exception": "the parser raises, and the request fails or the call is given out as text",
    "lost_call": "a call of the reply is not given out",
    "extra_call": "a call is given out that the reply does not have",
    "wrong_name": "the call has another name",
    "broken_json": "the arguments are no JSON object",
    "wrong_value": "an argument has another value than the model wrote",
    "lost_argument": "an argument is missing",
    "extra_argument": "there is an argument that the model did not write",
    "wrong_type": "an argument has a type that its schema does not allow, or the string became another type",
    "answer_in_thinking": "the answer stands in the thinking, and content is empty",
    "lost_text": "text of the answer is missing",
    "thinking_in_answer": "thinking stands in the answer",
    "lost_thinking": "text of the thinking is missing",
    "altered_text": "the answer or the thinking reads otherwise",
    "markup_left": "markup of the format is left in the text",
    "differs": "the stream says other than the whole, where the format leaves it open which is right",
}
LONG: Final = 57  # characters of a value that a line shows
KEPT: Final = 12  # characters of what both begin with
ORDER: Final = {kind: place for place, kind in enumerate(KINDS)}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with one outcome."""

    kind: str
    what: str


def judge_outcome(case: ReplyCase, schema: Mapping[str, Mapping[str, Any]], outcome: Mapping[str, Any]) -> list[Fault]:
    """Return what is wrong with an outcome; the worst first."""
    if "error" in outcome:
        return [Fault("exception", str(outcome["error"]))]
    faults = [*_judge_calls(case, schema, outcome["calls"]), *_judge_texts(case, outcome)]
    return sorted(set(faults), key=lambda fault: (ORDER[fault.kind], fault.what))


def judge_stream(
    case: ReplyCase,
    schema: Mapping[str, Mapping[str, Any]],
    whole: Mapping[str, Any],
    outcome: Mapping[str, Any],
    known: Iterable[Fault] | None = None,
) -> list[Fault]:
    """Return what is wrong with a streamed outcome; faults that the whole has alike (`known`) are not told again."""
    known = judge_outcome(case, schema, whole) if known is None else list(known)
    if outcome == whole:
        return []
    fresh = [fault for fault in judge_outcome(case, schema, outcome) if fault not in known]
    # only where the whole is right does a stream that merely differs say something: else both are wrong, and told
    if fresh or known or case.expected.stream_may_differ or _tell_outcome(outcome) == _tell_outcome(whole):
        return fresh
    return [
        Fault(
            "differs",
            f"whole {_shorten_value(_tell_outcome(whole))}, streamed {_shorten_value(_tell_outcome(outcome))}",
        )
    ]


def _tell_outcome(outcome: Mapping[str, Any]) -> Any:
    """Return an outcome as far as a client can tell: blanks around texts do not count, nor how JSON is written."""
    calls = [[name, _read_arguments(arguments) or arguments] for name, arguments in outcome.get("calls", [])]
    return [outcome.get("error"), (outcome.get("think") or "").strip(), (outcome.get("say") or "").strip(), calls]


def _judge_calls(
    case: ReplyCase, schema: Mapping[str, Mapping[str, Any]], calls: Sequence[Sequence[str]]
) -> Iterator[Fault]:
    wanted = case.expected.calls
    if wanted is None:
        if case.expected.first_call is not None:
            yield from _judge_list([case.expected.first_call], calls[:1], schema)
        yield from (
            Fault("broken_json", f"{name}: {text!r}") for name, text in calls if case.finished and not _is_object(text)
        )
        return
    yield from _judge_list(wanted, calls, schema)


def _judge_list(
    wanted: Sequence[Call], calls: Sequence[Sequence[str]], schema: Mapping[str, Mapping[str, Any]]
) -> Iterator[Fault]:
    # counts first: with a call lost, every later one would be compared with its neighbour
    if len(calls) < len(wanted):
        yield Fault("lost_call", f"{len(calls)} of {len(wanted)}")
        return
    if len(calls) > len(wanted):
        yield Fault("extra_call", f"{len(calls)} instead of {len(wanted)}")
        return
    for (name, arguments), (found, text) in zip(wanted, calls, strict=True):
        if found != name:
            yield Fault("wrong_name", repr(found))
        # before arguments are compared: half a JSON object has no argument that could be right
        elif not _is_object(text):
            yield Fault("broken_json", _shorten_value(text))
        else:
            yield from _judge_arguments(arguments, json.loads(text), schema.get(name, {}))


def _judge_arguments(
    wanted: Mapping[str, object], found: Mapping[str, object], schema: Mapping[str, Any]
) -> Iterator[Fault]:
    yield from (Fault("lost_argument", key) for key in wanted if key not in found)
    yield from (Fault("extra_argument", repr(key)) for key in found if key not in wanted)
    for key, value in wanted.items():
        if key not in found or any(
            is_same(found[key], right) for right in list_readings(value, schema.get("properties", {}).get(key), schema)
        ):
            continue
        is_type = type(found[key]) is not type(value)
        yield Fault("wrong_type" if is_type else "wrong_value", _contrast(value, found[key]))


def list_readings(value: object, schema: Mapping[str, Any] | None, root: Mapping[str, Any]) -> list[object]:
    """Return every answer that the template writes as it writes this value, and that the schema allows."""
    text = write_value(value)
    types = allowed_types(schema, root)
    found: list[object] = [value]
    # the template writes 5 and "5" alike, so a schema that allows both leaves open which was meant
    if (types is None or "string" in types) and not isinstance(value, str):
        found.append(text)
    if isinstance(value, str):
        read = _read_json(text)
        if read is not None and (types is None or type_of(read[0]) in types) and type_of(read[0]) != "string":
            found += read
    return found


def allowed_types(schema: Mapping[str, Any] | None, root: Mapping[str, Any]) -> set[str] | None:
    """Return the JSON types that a property's schema allows; None where it does not say."""
    if schema is None:
        return None
    if "$ref" in schema:
        return allowed_types(root.get("$defs", {}).get(schema["$ref"].rpartition("/")[2]), root)
    if "anyOf" in schema:
        branches = [allowed_types(branch, root) or set() for branch in schema["anyOf"]]
        return set().union(*branches)
    if "type" in schema:
        types = {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])
        # JSON schema: every integer is a number
        return types | ({"integer"} if "number" in types else set())
    if "enum" in schema:
        return {type_of(value) for value in schema["enum"]}
    return None


def type_of(value: object) -> str:
    """Return a value's JSON type."""
    names = {
        bool: "boolean",
        int: "integer",
        float: "number",
        str: "string",
        list: "array",
        dict: "object",
        type(None): "null",
    }
    return names[type(value)]


def is_same(found: object, right: object) -> bool:
    """Say whether two JSON values are one: true is no 1, 3.0 is 3, and the order of keys says nothing."""
    # to Python True == 1, and a tool that wants a switch does not
    if isinstance(found, bool) or isinstance(right, bool):
        return found is right
    if isinstance(found, dict) and isinstance(right, dict):
        return found.keys() == right.keys() and all(is_same(found[key], right[key]) for key in right)
    if isinstance(found, list) and isinstance(right, list):
        return len(found) == len(right) and all(map(is_same, found, right))
    return found == right


def _judge_texts(case: ReplyCase, outcome: Mapping[str, Any]) -> Iterator[Fault]:
    think, say = (outcome["think"] or "").strip(), (outcome["say"] or "").strip()
    wanted_think, wanted_say = case.expected.think, case.expected.say
    if case.expected.text is not None and case.expected.text not in (think, say):
        yield Fault("lost_text", f"thinking {_shorten_value(think)}, answer {_shorten_value(say)}")
    judged = f"{'' if wanted_think is None else think}\n{'' if wanted_say is None else say}"
    markers = [m for m in MARKERS[case.format] if m in judged and m not in f"{wanted_think or ''}{wanted_say or ''}"]
    # of a reply that was cut, half a marker is all there is
    if markers and case.finished:
        yield Fault("markup_left", ", ".join(markers))
    if wanted_say is not None:
        yield from _judge_say(wanted_say.strip(), say, wanted_think or "", think, bool(markers))
    if wanted_think is not None and think != wanted_think.strip() and not _is_moved(wanted_say or "", think):
        yield from _judge_think(wanted_think.strip(), think, say)


def _judge_say(wanted: str, say: str, wanted_think: str, think: str, has_markers: bool) -> Iterator[Fault]:
    if say == wanted or _strip_texts(say) == _strip_texts(wanted):
        return
    # where the text went decides its name: an answer within the thinking is worse than one that lost a word
    if wanted and not say and wanted in think:
        yield Fault("answer_in_thinking", _shorten_value(think))
    elif wanted_think.strip() and wanted_think.strip() in say and wanted_think.strip() not in wanted:
        yield Fault("thinking_in_answer", _shorten_value(say))
    elif len(say) < len(wanted):
        yield Fault("lost_text", _contrast(wanted, say))
    elif not has_markers:
        yield Fault("altered_text", _contrast(wanted, say))


def _judge_think(wanted: str, think: str, say: str) -> Iterator[Fault]:
    if wanted and wanted in say:
        return  # told as thinking in the answer
    if len(think) < len(wanted):
        yield Fault("lost_thinking", _contrast(wanted, think))
    else:
        yield Fault("altered_text", _contrast(wanted, think))


def _is_moved(wanted_say: str, think: str) -> bool:
    return bool(wanted_say.strip()) and wanted_say.strip() in think


def _strip_texts(text: str) -> list[str]:
    """Blanks between the texts before and after a call are nobody's."""
    return text.split()


def _is_object(text: str) -> bool:
    return _read_arguments(text) is not None


def _read_arguments(text: str) -> dict[str, Any] | None:
    read = _read_json(text)
    return read[0] if read is not None and isinstance(read[0], dict) else None


def _read_json(text: str) -> list[Any] | None:
    try:
        # a list around it: null is a value, and None says that there is none
        return [json.loads(text, parse_constant=_refuse_constant)]
    except (ValueError, TypeError, RecursionError):
        return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _contrast(wanted: object, found: object) -> str:
    """Return `wanted became found`; what both begin with is cut away where they are long."""
    before, after = json.dumps(wanted, ensure_ascii=False), json.dumps(found, ensure_ascii=False)
    same = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    if max(len(before), len(after)) > LONG and same > KEPT:
        before, after = (f"...{text[same - KEPT :]}" for text in (before, after))
    return f"{cut_text(before, LONG)} became {cut_text(after, LONG)}"


def _shorten_value(value: object) -> str:
    return cut_text(json.dumps(value, ensure_ascii=False), LONG)


def pick_worst(faults: Iterable[Fault]) -> Fault | None:
    """Return the worst fault."""
    return min(faults, key=lambda fault: ORDER[fault.kind], default=None)
