"""What others saw or published, as frozen data: known failures, launches, and tables of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from matrix.hardware import Json
from matrix.source import Source


@dataclass(frozen=True, kw_only=True)
class Fails:
    """How a known failure shows. A failure that differs in `at`, `how` or `signature` is another one, and red."""

    at: Literal["before_ready", "first_request", "test"]  # an entry about the launch excuses nothing after it
    how: Literal["exit", "hang", "rejected", "http_status", "wrong_answer"]  # rejected: by preflight, nothing started
    signature: str  # regular expression; searched in the exception, the log excerpt and the findings that are not ok
    test: str = ""  # with `at: test` only: the test function's name
    params: tuple[str, ...] = ()  # substrings of the test id; empty = every parameter of the test
    http_status: int | None = None  # with `how: http_status` only; null: any


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a symptom needs before it can show; an entry whose test never asks for it excuses nothing."""

    prompt_tokens: int | None = None
    concurrency: int | None = None
    turns: int | None = None
    thinking: bool | None = None


@dataclass(frozen=True, kw_only=True)
class KnownFailure:
    """A deviation that is expected, with its cause. An unexpected pass is red, an expired entry too."""

    id: str  # a new word, e.g. K42_what_breaks
    when: Mapping[str, Json]  # the cells, e.g. engine=vllm version=">=0.33" sm=120
    fails: Fails  # at which stage, how, and the words that show it
    expect: Literal["always", "intermittent"]  # always: a pass is red (XPASS); intermittent: it may pass
    symptom: str  # what a user sees, in a sentence
    issue: str  # a link, or a page of docs/ where the failure is planted
    source: Source  # a report, run or wheel, and the release and GPU that it speaks of
    owner: str  # who looks again by `review_by`
    added: date  # default: today
    review_by: date  # past it, the entry itself is red; default: in 90 days
    needs: Needs = field(default_factory=Needs)  # what a question must have to meet it
    waits_for: str = ""  # engine==version of a release that is not on the axes, when no cell of today matches
    fact: str = ""  # of matrix/facts.yaml, or "not " and one: decides the releases that `when` names
    affected: str = ""  # versions, as the thread states them
    fixed: str = ""  # the same of the cure


@dataclass(frozen=True, kw_only=True)
class Published:
    """A launch that somebody published as a command line. `when` names one rig, release and checkpoint."""

    id: str
    when: Mapping[str, Json]
    source: str

    @property
    def features(self) -> frozenset[str]:
        """Exactly the features that the command asks for."""
        named = self.when.get("features", ())
        return frozenset((named,) if isinstance(named, str) else named)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One published number with its conditions."""

    metric: str
    value: float
    unit: str
    conditions: Mapping[str, Json]
    high: float | None = None  # a published range: value..high


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A published table: a dated statement of somebody's, not a baseline of ours."""

    id: str  # a new word; the name of its file
    title: str  # of the table, in a line
    when: Mapping[str, Json]  # the cells that it speaks of, e.g. rig=sm120x4 checkpoint=glm51_478b_nvfp4
    source: str  # its public address
    measurements: tuple[Measurement, ...]  # {metric: ..., value: ..., unit: ..., conditions: {...}}, for each number
    disputed: str = ""  # what is known to be wrong with it
    inert: tuple[str, ...] = ()  # features that its configuration names and cannot use, as `disputed` says
