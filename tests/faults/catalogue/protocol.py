"""Protocol: the words are right and everything around them is not. Also replies that belong to somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fixtures.client.reply import Reply
from tests.faults.catalogue.attention import CODE
from tests.faults.catalogue.fault import Asked, Fault
from tests.faults.suite_tests import (
    BOOT,
    CALL,
    COUNTED,
    FACTS,
    LOADED,
    MARKERS,
    PREFIX,
    RECALL,
    RESULT,
    SIGNATURE,
    SINGLE,
    STREAM,
    SUMS,
    TEXT,
)

REPLIES = (BOOT, FACTS, SUMS, RECALL, CALL, RESULT)
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
PLANTED = b'{"error": {"message": "planted", "code": 500}}'
EVERY_THIRD, EVERY_SECOND = 3, 2
ERROR_AT = 3  # chunks
ENDS_AT = 2  # the first has a role and no words


def _error_inside(chunk: dict[str, Any], index: int) -> dict[str, Any]:
    """Return what SGLang and vLLM send when the scheduler fails in the middle of a stream."""
    return {"error": {"message": "planted", "code": 500}} if index == ERROR_AT else chunk


def _count_more(reply: Reply, asked: Asked) -> Reply:
    return replace(reply, completion_tokens=(reply.completion_tokens or 0) + 1) if reply.cached_tokens else reply


def _end_early(chunk: dict[str, Any], index: int) -> dict[str, Any]:
    if index == ENDS_AT and chunk.get("choices"):
        chunk["choices"][0]["finish_reason"] = "stop"
    return chunk


def _of_the_earlier(reply: Reply, asked: Asked) -> Reply:
    """Every second reply is the one before it."""
    if asked.earlier is None or asked.number % EVERY_SECOND:
        return reply
    return replace(reply, content=asked.earlier.content, tool_calls=asked.earlier.tool_calls)


def _of_the_neighbours(reply: Reply, asked: Asked) -> Reply:
    foreign = sorted(set(CODE.findall(asked.beside)) - set(CODE.findall(asked.prompt)))
    return replace(reply, content=f"{reply.content} {' '.join(foreign)}".strip()) if foreign else reply


FAULTS: Mapping[str, Fault] = {
    "wrong_prompt_usage": Fault(
        family="protocol",
        does="usage reports ten times the prompt tokens",
        kills=(*REPLIES, SIGNATURE),
        reply=lambda reply, asked: replace(reply, prompt_tokens=10 * (reply.prompt_tokens or 0) + 500),
    ),
    "prompt_usage_off_by_one": Fault(
        family="protocol",
        does="usage reports one prompt token too many, as after another chat template",
        kills=(COUNTED,),
        reply=lambda reply, asked: replace(reply, prompt_tokens=(reply.prompt_tokens or 0) + 1),
    ),
    "wrong_completion_usage": Fault(
        family="protocol",
        does="usage reports 4,096 completion tokens for every reply",
        kills=(*REPLIES, SINGLE, LOADED),
        reply=lambda reply, asked: replace(reply, completion_tokens=4096),
    ),
    "no_usage": Fault(
        family="protocol",
        does="the reply has no usage",
        kills=(*REPLIES, SINGLE, LOADED),
        reply=lambda reply, asked: replace(reply, prompt_tokens=None, completion_tokens=None),
    ),
    "missing_done": Fault(family="protocol", does="a stream ends without [DONE]", kills=(STREAM, TEXT), done=False),
    "wrong_finish_reason": Fault(
        family="protocol",
        does="finish_reason is always length",
        kills=REPLIES,
        reply=lambda reply, asked: replace(reply, finish_reason="length"),
    ),
    "unknown_finish_reason": Fault(
        family="protocol",
        does="finish_reason is abort",
        kills=(*REPLIES, TEXT),
        reply=lambda reply, asked: replace(reply, finish_reason="abort"),
    ),
    "calls_finish_as_stop": Fault(
        family="protocol",
        does="a call ends with finish_reason stop",
        kills=(CALL,),
        reply=lambda reply, asked: replace(reply, finish_reason="stop") if reply.tool_calls else reply,
    ),
    "streams_count_half": Fault(
        family="protocol",
        does="usage of a stream counts half of the tokens, as if it counted its chunks",
        kills=(STREAM,),
        reply=lambda reply, asked: replace(reply, completion_tokens=max(1, (reply.completion_tokens or 0) // 2)),
        touches=lambda asked: asked.stream and not asked.load,
    ),
    "counts_the_computed_prompt_only": Fault(
        family="protocol",
        does="usage leaves out those tokens of the prompt that came from the prefix cache",
        kills=(PREFIX,),
        reply=lambda reply, asked: replace(
            reply, prompt_tokens=(reply.prompt_tokens or 0) - (reply.cached_tokens or 0)
        ),
    ),
    "streams_change_their_id": Fault(
        family="protocol",
        does="each chunk of a stream has another id",
        kills=(STREAM, TEXT),
        event=lambda chunk, index: chunk | {"id": f"planted-{index}"},
    ),
    "reads_the_cache_where_told_not_to": Fault(
        family="protocol",
        does="a request that was told to compute its prompt reads the prefix cache",
        kills=(PREFIX,),
        request=lambda body, asked: {key: value for key, value in body.items() if key != "cache_prompt"},
    ),
    "counts_more_when_cached": Fault(
        family="protocol",
        does="usage counts one completion token more where the prompt was cached",
        kills=(PREFIX,),
        reply=_count_more,
    ),
    "speaks_behind_its_end": Fault(
        family="protocol",
        does="a stream says finish_reason stop with its third chunk, and goes on",
        kills=(STREAM, TEXT),
        event=_end_early,
        touches=lambda asked: asked.stream and not asked.load,
    ),
    "stuck_stream": Fault(
        family="protocol",
        does="a stream stops after two chunks and stays open",
        kills=(STREAM, TEXT),
        stall_after=2,
        slow=True,
        touches=lambda asked: asked.stream,
    ),
    "slow_loris": Fault(
        family="protocol",
        does="the reply arrives one byte every 50 ms and does not end within the deadline",
        kills=(BOOT, FACTS),
        drip_s=0.05,
        slow=True,
    ),
    "error_inside_stream": Fault(
        family="protocol",
        does="a stream under HTTP 200 contains an error object instead of a chunk",
        kills=(STREAM, TEXT, SINGLE, LOADED),
        event=_error_inside,
    ),
    "bursts_of_500": Fault(
        family="protocol",
        does="every third request fails with HTTP 500",
        kills=(FACTS, LOADED),
        instead=(500, "application/json", PLANTED),
        touches=lambda asked: asked.number % EVERY_THIRD == 0,
    ),
    "html_under_200": Fault(
        family="protocol",
        does="the reply is a gateway's HTML error page with status 200",
        kills=(*REPLIES, SINGLE, LOADED),
        instead=(200, "text/html", HTML),
    ),
    "resets_connection": Fault(
        family="protocol",
        does="the connection is reset in the middle of every second reply",
        kills=(FACTS, SINGLE),
        cut_after=1,
        touches=lambda asked: asked.number % EVERY_SECOND == 0,
    ),
    "bleeds_between_parallel_requests": Fault(
        family="bleed",
        does="each reply contains codes of the other requests in flight",
        kills=(MARKERS,),
        reply=_of_the_neighbours,
    ),
    "bleeds_from_the_request_before": Fault(
        family="bleed",
        does="every second request gets the reply to the request before it",
        kills=(FACTS,),
        reply=_of_the_earlier,
    ),
}
