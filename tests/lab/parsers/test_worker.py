"""The worker over a toy parser: a right one is found right, and each way of being wrong is seen."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from lab.parsers.imports import PACKAGES
from lab.parsers.suites import PAIRS
from lab.parsers.tokens import MarkerTokenizer
from lab.parsers.worker import KEPT, run_suite
from matrix.checkout import CHECKOUT
from matrix.parsers.corpus import load_corpus
from matrix.parsers.findings import judge_answers
from matrix.parsers.record import Answers
from matrix.parsers.render import MARKERS
from tests.lab.parsers.toys import ToyPair

# What a parser that works call by call cannot take from markers within a value.
HARD = {"call_end_marker", "think_marker", "think_pair", "call_marker"}


def test_each_driver_has_the_pair_that_the_worker_makes() -> None:
    """Drivers import a release, which is not here: their source is read, and held against what the worker names."""
    folder = CHECKOUT / "lab" / "parsers"
    [named] = re.findall(r"\bdriver\.(\w+)", (folder / "worker.py").read_text("utf-8"))
    for engine in PAIRS:
        tree = ast.parse((folder / f"drive_{PACKAGES.get(engine, engine)}.py").read_text("utf-8"))
        assert named in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


def run_toy(spoil: Callable[[dict[str, Any], int], Any] | None, *names: str) -> set[tuple[str, str, str]]:
    """Return (case, reach, kind) of everything that the judge finds."""
    corpus = load_corpus()
    cases = [case for case in corpus.list_cases("glm47") if (case.id in names if names else case.id not in HARD)]
    asked = [{"id": c.id, "reply": c.reply, "thinks": c.thinks, "finished": c.finished} for c in cases]
    tokenizer = MarkerTokenizer(MARKERS["glm47"], [case.reply for case in cases])
    found = run_suite({"cases": asked}, ToyPair(corpus.tools, spoil), tokenizer)
    return {
        (name, reach, fault.kind)
        for name, answers in found.items()
        for reach, fault in judge_answers(
            Answers("toy", "glm47+glm45", name, (), answers["whole"], tuple(answers["streams"])), corpus
        )
    }


def test_a_parser_that_is_the_inverse_of_the_template_is_right_in_every_case() -> None:
    assert run_toy(None) == set()


def _call(outcome: dict[str, Any], change: Callable[[list[str]], list[str]]) -> dict[str, Any]:
    return {**outcome, "calls": [change(call) for call in outcome["calls"]]}


def _raise(_: dict[str, Any], __: int) -> Any:
    raise IndexError("list index out of range")


MUTANTS: list[tuple[str, str, str, str, Callable[[dict[str, Any], int], Any]]] = [
    ("exception", "one_call", "whole", "exception", _raise),
    ("drops the last call", "two_calls", "whole", "lost_call", lambda o, _: {**o, "calls": o["calls"][:-1]}),
    ("doubles a call", "one_call", "whole", "extra_call", lambda o, _: {**o, "calls": o["calls"] * 2}),
    (
        "sends the name twice",
        "one_call",
        "token",
        "wrong_name",
        lambda o, n: _call(o, lambda c: [c[0] * 2, c[1]]) if n > 2 else o,
    ),
    (
        "does not close the object",
        "one_call",
        "drafts",
        "broken_json",
        lambda o, n: _call(o, lambda c: [c[0], c[1][:-1]]) if 2 < n < 30 else o,
    ),
    (
        "reads strings as numbers",
        "leading_zeros",
        "whole",
        "wrong_type",
        lambda o, _: _call(o, lambda c: [c[0], json.dumps({k: int(v) for k, v in json.loads(c[1]).items()})]),
    ),
    (
        "strips values",
        "newlines",
        "whole",
        "wrong_value",
        lambda o, _: _call(o, lambda c: [c[0], json.dumps({k: v.strip() for k, v in json.loads(c[1]).items()})]),
    ),
    (
        "loses arguments in one delta",
        "one_call",
        "backlog",
        "lost_argument",
        lambda o, n: _call(o, lambda c: [c[0], "{}"]) if n == 1 else o,
    ),
    (
        "thinks the answer",
        "answer",
        "whole",
        "answer_in_thinking",
        lambda o, _: {**o, "think": o["think"] + o["say"], "say": ""},
    ),
    (
        "answers the thinking",
        "answer",
        "whole",
        "thinking_in_answer",
        lambda o, _: {**o, "think": "", "say": o["think"] + o["say"]},
    ),
    (
        "loses the end of the text",
        "answer",
        "token",
        "lost_text",
        lambda o, n: {**o, "say": o["say"][:-1]} if n > 2 else o,
    ),
    ("leaves markup", "answer", "whole", "markup_left", lambda o, _: {**o, "say": f"</think>{o['say']}"}),
    (
        "takes a string for a number in streams",
        "untyped_integer",
        "token",
        "differs",
        lambda o, n: _call(o, lambda c: [c[0], c[1].replace("5", '"5"')]) if n else o,
    ),
]


@pytest.mark.parametrize(("case", "reach", "kind", "spoil"), [m[1:] for m in MUTANTS], ids=[m[0] for m in MUTANTS])
def test_a_parser_that_is_wrong_is_seen(case: str, reach: str, kind: str, spoil: Callable[..., Any]) -> None:
    assert (case, reach, kind) in run_toy(spoil, case)


def test_a_pair_that_cannot_be_made_says_why() -> None:
    tokenizer = MarkerTokenizer((), [])
    assert run_suite({"cases": []}, TypeError("no such parser"), tokenizer) == {"error": "TypeError: no such parser"}


def test_of_many_outcomes_the_first_are_kept_and_the_rest_counted() -> None:
    corpus = load_corpus()
    case = corpus.cases["glm47", "answer"]
    asked = {"id": case.id, "reply": case.reply, "thinks": True, "finished": True}
    numbers = iter(range(1000))
    pair = ToyPair(corpus.tools, lambda outcome, _: {**outcome, "say": str(next(numbers))})
    streams = run_suite({"cases": [asked]}, pair, MarkerTokenizer(MARKERS["glm47"], [case.reply]))["answer"]["streams"]
    assert len(streams) == KEPT + 1
    assert streams[-1]["outcome"] is None
    assert sum(stream["n"] for stream in streams) == next(numbers) - 1
