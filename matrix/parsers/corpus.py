"""The corpus of replies: each case with its text in each format, and what a parser has to make of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from matrix.parsers.render import (
    CALL_END,
    CALL_START,
    FORMATS,
    THINK_END,
    THINK_START,
    Call,
    Format,
    IntendedReply,
    write_reply,
)
from matrix.yaml.yamltext import read_data

CORPUS: Final = Path(__file__).with_name("corpus.yaml")
THINKING: Final = "Go."  # before each call of the section `values`


@dataclass(frozen=True)
class ExpectedReply:
    """The right answer; what is None is not judged."""

    think: str | None
    say: str | None
    calls: tuple[Call, ...] | None
    first_call: Call | None = None
    text: str | None = None  # has to stand in the thinking or in the answer, whichever
    stream_may_differ: bool = False


@dataclass(frozen=True)
class ReplyCase:
    """One reply of a model in one format, and the answer that it means."""

    id: str
    kind: str
    format: Format
    thinks: bool
    reply: str
    expected: ExpectedReply
    finished: bool = True  # False: the reply was cut by its length
    why: str = ""


@dataclass(frozen=True)
class Corpus:
    """All cases, and the tools that each request offers (name to JSON schema)."""

    tools: Mapping[str, Mapping[str, Any]]
    cases: Mapping[tuple[Format, str], ReplyCase] = field(default_factory=dict)
    source: str = ""

    def list_cases(self, form: Format) -> list[ReplyCase]:
        """Return the cases of a format."""
        return [case for case in self.cases.values() if case.format == form]


@cache
def load_corpus(path: Path = CORPUS) -> Corpus:
    """Read the YAML and write each reply in each format."""
    document = read_data(path)
    tools = {name: {"type": "object", **schema} for name, schema in document["tools"].items()}
    cases = {(case.format, case.id): case for form in FORMATS for case in _cases(document, form)}
    return Corpus(tools, cases, document["source"].strip())


def _cases(document: Mapping[str, Any], form: Format) -> Iterator[ReplyCase]:
    answers: dict[str, IntendedReply] = {}
    for kind, entries in document["values"].items():
        for entry in entries:
            call = ("record", {entry["property"]: entry["value"]})
            answers[entry["id"]] = answer = IntendedReply(THINKING, calls=(call,))
            yield _regular(entry["id"], kind, form, answer)
    for kind, entries in document["replies"].items():
        for entry in entries:
            answers[entry["id"]] = answer = _read_intended_reply(entry)
            yield _regular(entry["id"], kind, form, answer)
    for kind, entries in document["irregular"].items():
        for entry in entries:
            # some ways of being wrong exist in one format only: glm45 has line breaks to lose, dsml attributes
            if form in entry.get("formats", FORMATS):
                yield _irregular(entry, kind, form, answers)


def _read_intended_reply(entry: Mapping[str, Any]) -> IntendedReply:
    calls = tuple((name, arguments) for name, arguments in entry.get("calls", []))
    return IntendedReply(entry["think"], entry.get("say", ""), calls)


def _regular(name: str, kind: str, form: Format, answer: IntendedReply) -> ReplyCase:
    expected = ExpectedReply(answer.think or "", answer.say, answer.calls)
    return ReplyCase(name, kind, form, answer.think is not None, write_reply(answer, form), expected)


def _irregular(entry: Mapping[str, Any], kind: str, form: Format, answers: Mapping[str, IntendedReply]) -> ReplyCase:
    reply = entry["reply"] if "reply" in entry else write_reply(answers[entry["of"]], form)
    wanted, is_open = entry.get("expect", {}), set(entry.get("open", []))
    calls = wanted.get("calls")
    first = wanted.get("first_call")
    expected = ExpectedReply(
        None if "think" in is_open else wanted.get("think", ""),
        None if "say" in is_open else wanted.get("say", ""),
        None if "calls" in is_open else tuple((name, arguments) for name, arguments in calls or ()),
        (first[0], first[1]) if first else None,
        entry.get("text"),
        "stream" in is_open,
    )
    return ReplyCase(
        entry["id"], kind, form, True, _spoil(reply, entry, form), expected, kind != "truncated", entry.get("why", "")
    )


def _spoil(reply: str, entry: Mapping[str, Any], form: Format) -> str:
    """Cut or change the reply as the case says; `{start}`, `{end}`, `{think_start}` and `{think_end}` are markers."""
    names = {
        "{start}": CALL_START[form],
        "{end}": CALL_END[form],
        "{think_start}": THINK_START,
        "{think_end}": THINK_END,
    }

    def marker(text: str) -> str:
        return names.get(text, text)

    if "after" in entry:
        # the last one: replies are cut at their end, where a length limit cuts
        cut = marker(entry["after"])
        reply = reply[: reply.rindex(cut) + len(cut)]
    if "before" in entry:
        reply = reply[: reply.rindex(marker(entry["before"]))]
    if "without" in entry:
        reply = reply.replace(marker(entry["without"]), "", 1)
    if "replace" in entry:
        old, new = entry["replace"]
        reply = reply.replace(old, new, 1)
    return marker(entry.get("prefix", "")) + reply + marker(entry.get("suffix", ""))
