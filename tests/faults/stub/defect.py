"""A defect of the stub as data: which right answers it damages, how, and who must notice."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fixtures.banks.item import Item
from fixtures.client.reply import ToolCall
from fixtures.launch.attached.engine import STUB

Json = Any
Retell = Callable[[list[Json]], list[Json]]
Drift = Callable[[int], float]  # number of the request -> factor
# What becomes of a stream whose reader is gone: its work ends, goes on, or goes on uncounted and in everybody's way.
HangUp = Literal["stops", "works on", "blocks"]
# What becomes of streams in work while another client hangs up.
Beside = Literal["go on", "end", "get its rest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as the stub sees it: the bank's item, when it knows one, and the circumstances."""

    item: Item | None
    stream: bool
    prompt_tokens: int
    index_topk: int
    number: int  # of the request, from 1
    load: bool = False  # ignore_eos: a load request
    inside: int = 1  # requests in work, this one included
    reloaded: bool = False  # what is cached was loaded from outside
    boot: int = 1  # which launch of the stub this is
    most_inside: int = 1  # the most of them so far
    loads: int = 0  # load requests seen so far
    cached: bool = False  # this prompt was asked before
    cached_tokens: int = 0  # of this prompt, or of the longest conversation before it that is its beginning
    over: bool = False  # longer than the context
    choice: Json = "auto"  # tool_choice
    offered: tuple[str, ...] = ()  # names of the tools
    before: Item | None = None  # of the request before this one
    sampled: bool = False  # temperature above 0
    thinking: bool = False
    effort: str = ""  # reasoning_effort
    messages: int = 1
    systems: int = 0  # tokens of the system message
    surface: str = ""  # completions, responses or messages; a chat is none
    stop: str = ""  # the first of them
    stops: tuple[str, ...] = ()
    hot: bool = False  # sampled at a temperature at which no token is sure
    seed: int = 0
    parted: bool = False  # content as a list of parts
    newer_limit: bool = False  # max_completion_tokens
    unstopped: str = ""  # what would be said without it
    biased: bool = False
    n: int = 1
    least: int = 0  # min_tokens
    room: int = 0  # max_tokens
    logprobs: bool = False
    penalised: bool = False
    present: bool = False  # by presence_penalty
    echoes: bool = False  # /v1/completions with echo
    single: bool = False  # parallel_tool_calls is off
    hang_ups: int = 0  # of clients before it
    assistants: int = 0  # messages of the assistant before it
    greedy: bool = False  # sampled of one candidate
    fills: bool = False  # prompt and reply take the whole context
    uncached: bool = False  # told not to read the prefix cache
    told_before: bool = False  # what the request before this one wanted: a thought or none
    spoiled: bool = False  # its prefix was not computed to its end, as where a client hung up
    beside: tuple[Asked, ...] = ()  # requests in work when this one came
    odd: bool = False  # a call in its history has other arguments than the text of an object
    refused: int = 0  # requests before it that were no valid ones
    prompt: str = ""
    form: Json = None  # what the reply must be: {"schema": ...}, {"object": True} or {"choices": [...]}

    @property
    def kind(self) -> str:
        return self.item.kind if self.item else ""

    @property
    def beyond(self) -> bool:
        return self.prompt_tokens > self.index_topk


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the stub is going to say, and how."""

    content: str = ""
    choices: tuple[str, ...] = ()  # contents, where several were asked for
    index: int | None = None  # of all of them, instead of their own
    model: str = STUB  # in whose name
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    echoed: tuple[float | None, ...] = ()  # the numbers of its prompt, which stands before the content
    cached_tokens: int = 0
    completion_tokens: int | None = None  # None: counted from the text
    status: int = 200
    usage: bool = True
    done: bool = True
    cut_after: int | None = None  # events, then the connection is reset
    stall_after: int | None = None  # events, then silence
    delay_s: float = 0.0  # before each event, on top of the stub's pace
    hold_s: float = 0.0  # before the first byte
    logprob_shift: float = 0.0  # nats, on every token
    positions: tuple[Mapping[str, float], ...] = ()  # candidates of each token, instead of made-up ones
    error: str = "planted"  # message of a status that is not 200
    die: bool = False
    exit_code: int = 3  # when it dies as a process
    payload: Callable[[bytes], bytes] | None = None  # change of a document's or an event's bytes
    chunk_size: bytes | None = None  # instead of the true one
    retell: Retell | None = None  # change of its events, or of the one document of a whole answer


HELD_S = 0.2  # long enough for the requests of one test to meet inside the stub

Damage = Callable[[Answer, Asked], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One named way to be broken. `healthy` is what /health says."""

    family: str
    kills: tuple[str, ...]
    does: str = ""  # what the faulty engine does, in one clause; empty: the proxy's fault of this name says it
    damage: Damage = field(default=lambda answer, asked: answer)
    metrics: Mapping[str, float] = field(default_factory=dict)  # counter (as in `observe:`) -> factor on its true value
    drift: Mapping[str, Drift] = field(default_factory=dict)  # the same, by the number of the request
    more_metrics: Callable[[int], str] = field(default=lambda requests: "")  # lines behind the others
    after_hang_up: HangUp = "stops"
    beside_hang_up: Beside = "go on"
    refuses_with: Mapping[str, int] = field(default_factory=dict)  # status of an invalid field's refusal, else 400
    refuses_saying: str | None = None  # instead of what is wrong
    chunk_factor: int = 1  # times the chunk size that was asked for
    healthy: bool = True
    bank: str = "glm5"  # whose questions it is asked
    dialect: str = "llamacpp"  # which engine it speaks as: some claim what others do not


def words(change: Callable[[str], str]) -> Damage:
    """Damage to words only: calls pass unharmed."""
    return lambda answer, asked: replace(answer, content=change(answer.content)) if answer.content else answer


def about(kinds: str, damage: Damage) -> Damage:
    """Only for items of these kinds."""
    wanted = kinds.split()
    return lambda answer, asked: damage(answer, asked) if asked.kind in wanted else answer


def calls(change: Callable[[ToolCall], ToolCall]) -> Damage:
    return lambda answer, asked: replace(answer, calls=tuple(change(c) for c in answer.calls))


def arguments(change: Callable[[dict[str, Json]], Json]) -> Damage:
    return calls(lambda c: replace(c, arguments=json.dumps(change(json.loads(c.arguments)))))


def says(content: str) -> Damage:
    return lambda answer, asked: replace(answer, content=content, calls=(), finish_reason="stop")


def always(**fields: Any) -> Damage:
    return lambda answer, asked: replace(answer, **fields)


def retold(change: Retell) -> Damage:
    """Damage to the JSON that is sent: the answer itself is right."""
    return lambda answer, asked: replace(answer, retell=change)


def when(condition: Callable[[Asked], bool], damage: Damage) -> Damage:
    return lambda answer, asked: damage(answer, asked) if condition(asked) else answer


def hold(damage: Damage) -> Damage:
    """Hold requests, so that they meet, and damage those that meet another one."""
    return lambda answer, asked: replace(damage(answer, asked) if asked.beside else answer, hold_s=HELD_S)
