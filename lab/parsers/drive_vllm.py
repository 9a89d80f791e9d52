"""vLLM's own parsers. Runs inside the release's environment.

From 0.23.0 on the release joins its parsers itself (`Parser.parse` and `Parser.parse_delta(finished=)`), and exactly
that is asked. Before, the join stands in the middle of its `serving.py`, which imports the whole server, and is told
again for tool_choice auto: `JoinedReply` before 0.20.0, `Streamed` until 0.22.1, where `parse_delta` is the release's.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lab.parsers.collected import Collected

ParserManager = importlib.import_module("vllm.parser").ParserManager
_PARSER = importlib.import_module("vllm.parser.abstract_parser").DelegatingParser
STREAMS_ITSELF = hasattr(_PARSER, "parse_delta")
JOINS_ITSELF = STREAMS_ITSELF and "finished" in inspect.signature(_PARSER.parse_delta).parameters
# the newer place first; the older one is a whole module of other protocols
_PROTOCOLS = ("vllm.entrypoints.openai.chat_completion.protocol", "vllm.entrypoints.openai.protocol")


def _request_class() -> Any:
    for name in _PROTOCOLS:
        try:
            return importlib.import_module(name).ChatCompletionRequest
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError(f"no ChatCompletionRequest in {_PROTOCOLS}")


class ParserPair:
    """A tool parser and a reasoning parser, either of which may be None."""

    def __init__(self, tool: str | None, reasoning: str | None, tokenizer: Any, tools: Mapping[str, Any]) -> None:
        self.tool, self.reasoning, self.tokenizer = tool, reasoning, tokenizer
        declared = [{"type": "function", "function": {"name": n, "parameters": s}} for n, s in tools.items()]
        request = {
            "model": "m",
            "messages": [{"role": "user", "content": "x"}],
            "tools": declared,
            "tool_choice": "auto",
        }
        self.request = _request_class()(**request)
        self._prompts = {
            thinks: tokenizer.encode(f"<|user|><|assistant|>{'<think>' if thinks else '</think>'}")
            for thinks in (True, False)
        }
        for thinks in (True, False):
            self._make(thinks)

    def _make(self, thinks: bool) -> Any:
        switch = {"chat_template_kwargs": {"enable_thinking": thinks, "thinking": thinks}}
        if STREAMS_ITSELF:
            named = {"tool_parser_name": self.tool, "reasoning_parser_name": self.reasoning}
            made = ParserManager.get_parser(**named, enable_auto_tools=True, model_name="m")
            own = made(self.tokenizer, self.request.tools, **switch)
            return own if JOINS_ITSELF else Streamed(own)
        reasoning = ParserManager.get_reasoning_parser(self.reasoning) if self.reasoning else None
        tool = ParserManager.get_tool_parser(self.tool, True, "m") if self.tool else None
        return JoinedReply(
            reasoning and reasoning(self.tokenizer, **switch), tool and _make_tool(tool, self.tokenizer, self.request)
        )

    def whole(self, reply: str, thinks: bool, finished: bool) -> dict[str, Any]:
        """Parse a reply at once."""
        parser, ids = self._make(thinks), self.tokenizer.encode(reply)
        if isinstance(parser, JoinedReply):
            return parser.parse(reply, self.request)
        # some parsers look into the prompt: whether it opened the thinking block decides where a reply begins
        if hasattr(parser, "set_prompt_token_ids"):
            parser.set_prompt_token_ids(self._prompts[thinks])
        known = inspect.signature(parser.parse).parameters
        named = {"enable_auto_tools": True, "model_output_token_ids": ids}
        think, say, calls = parser.parse(reply, self.request, **{k: v for k, v in named.items() if k in known})
        return {"think": think or "", "say": say or "", "calls": [[call.name, call.arguments] for call in calls or ()]}

    def stream(self, deltas: Sequence[Sequence[str]], thinks: bool, finished: bool, ended: bool) -> dict[str, Any]:
        """Parse a reply delta by delta; one that ends by itself ends with the token of a turn, which has no text."""
        parser, got = self._make(thinks), Collected()
        stop = [self.tokenizer.eos_token_id] if finished else []
        steps = [("".join(delta), self.tokenizer.encode("".join(delta)), False) for delta in deltas]
        steps = [*steps[:-1], (steps[-1][0], steps[-1][1] + stop, True)] if ended else [*steps, ("", stop, True)]
        for text, ids, is_last in steps:
            delta = parser.parse_delta(text, ids, self.request, self._prompts[thinks], finished=is_last)
            _collect_delta(delta, got)
        return got.outcome()


def _collect_delta(delta: Any, got: Collected) -> None:
    if delta is None:
        return
    got.say += delta.content or ""
    got.think += getattr(delta, "reasoning", None) or getattr(delta, "reasoning_content", None) or ""
    for call in delta.tool_calls or ():
        function = call.function
        got.add_call(call.index, function and function.name, function and function.arguments)


def _make_tool(tool: Any, tokenizer: Any, request: Any) -> Any:
    takes_tools = "tools" in inspect.signature(tool.__init__).parameters
    return tool(tokenizer, request.tools) if takes_tools else tool(tokenizer)


class JoinedReply:
    """The join of `entrypoints/openai/chat_completion/serving.py` in releases before 0.20.0."""

    def __init__(self, reasoning: Any, tool: Any) -> None:
        self.reasoning, self.tool = reasoning, tool
        self.text = ""
        self.ids: list[int] = []
        self.thought = reasoning is None  # the thinking is over
        self.begun = reasoning is None  # the tool parser has seen its first delta

    def parse(self, reply: str, request: Any) -> dict[str, Any]:
        """Parse a reply at once."""
        think, say = self.reasoning.extract_reasoning(reply, request=request) if self.reasoning else (None, reply)
        calls: list[list[str]] = []
        if self.tool:
            found = self.tool.extract_tool_calls(say or "", request=request)
            if found.tools_called:
                calls = [[call.function.name, call.function.arguments] for call in found.tool_calls]
                say = found.content
        return {"think": think or "", "say": say or "", "calls": calls}

    def parse_delta(self, text: str, ids: list[int], request: Any, prompt: list[int], *, finished: bool) -> Any:
        """Parse one delta."""
        now, now_ids = self.text + text, self.ids + ids
        before, before_ids = self.text, self.ids
        delta = None
        if not self.thought and self.reasoning.is_reasoning_end(prompt):
            self.thought, now_ids = True, ids
        elif not self.thought:
            delta = self.reasoning.extract_reasoning_streaming(before, now, text, before_ids, now_ids, ids)
            # the thinking ends within this delta: what stands behind it is the tool parser's first text
            if self.tool and self.reasoning.is_reasoning_end(ids):
                self.thought, now_ids = True, self.reasoning.extract_content_ids(ids)
                now = (delta and delta.content) or ""
                if delta:
                    delta.content = None
        if self.thought:
            if not self.begun:
                # the tool parser must not see the thinking: its text begins anew
                self.begun, before, before_ids, text, ids = True, "", [], now, now_ids
            # What the reasoning parser made of this delta is replaced, as in these releases.
            delta = self._call(before, now, text, request, before_ids, now_ids, ids)
        self.text, self.ids = now, now_ids
        return _send_rest(delta, self.tool) if finished else delta

    def _call(self, before: str, now: str, text: str, request: Any, *ids: Sequence[int]) -> Any:
        if self.tool is None:
            return importlib.import_module(type(request).__module__).DeltaMessage(content=text)
        return self.tool.extract_tool_calls_streaming(before, now, text, *ids, request)


class Streamed(JoinedReply):
    """0.20.0 to 0.22.1: `parse_delta` is the release's own, the whole and the end of a stream are `serving.py`'s."""

    def __init__(self, own: Any) -> None:
        super().__init__(own._reasoning_parser, own._tool_parser)
        self.own = own

    def parse_delta(self, text: str, ids: list[int], request: Any, prompt: list[int], *, finished: bool) -> Any:
        """Parse one delta."""
        delta = self.own.parse_delta(text, ids, request, prompt)
        return _send_rest(delta, self.tool) if finished else delta


def _send_rest(delta: Any, tool: Any) -> Any:
    """Send arguments that were parsed and not sent, where the last delta has a call, as `serving.py` does."""
    parsed = getattr(tool, "prev_tool_call_arr", None)
    if not (parsed and delta and delta.tool_calls and delta.tool_calls[0].function):
        return delta
    last = delta.tool_calls[0].function.arguments
    # a delta that only names a call has no arguments to go on from
    if last is None:
        return delta
    index = len(parsed) - 1
    wanted = parsed[index].get("arguments", {})
    wanted = wanted if isinstance(wanted, str) else json.dumps(wanted, ensure_ascii=False)
    sent = tool.streamed_args_for_tool[index]
    rest = wanted.replace(sent[: -len(last)] if last else sent, "", 1)
    names = [call.function.name for call in delta.tool_calls if call.index == index and call.function]
    call = delta.tool_calls[0].model_copy(deep=True)
    call.index, call.function.name, call.function.arguments = index, names[0] if names else None, rest
    return type(delta)(tool_calls=[call])
