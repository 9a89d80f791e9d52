"""TensorRT-LLM's own parsers, joined by its own `apply_reasoning_parser` and `apply_tool_parser`. Runs inside the
release's environment.

Both functions stand in serve/postprocess_handlers.py and are the release's; what calls them is told again here: first
the reasoning parser, then the tool parser on what is left, delta by delta and without a flush at the end
(`chat_stream_post_processor`).
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from lab.parsers.collected import Collected

# by name: an absent package answers for any attribute, also for that of a module of its own that is real
openai_protocol = importlib.import_module("tensorrt_llm.serve.openai_protocol")
postprocess_handlers = importlib.import_module("tensorrt_llm.serve.postprocess_handlers")
ToolParserFactory = importlib.import_module("tensorrt_llm.serve.tool_parser.tool_parser_factory").ToolParserFactory
ReasoningParserFactory = importlib.import_module("tensorrt_llm.llmapi.reasoning_parser").ReasoningParserFactory

# A release that tells its parsers more (an end, a prompt) is joined otherwise, and must not be asked in this way.
KNOWN = ("args", "output_index", "text", "streaming")


class ParserPair:
    """A tool parser and a reasoning parser, either of which may be None."""

    def __init__(self, tool: str | None, reasoning: str | None, tokenizer: Any, tools: Mapping[str, Any]) -> None:
        for ask in (postprocess_handlers.apply_reasoning_parser, postprocess_handlers.apply_tool_parser):
            found = tuple(inspect.signature(ask).parameters)
            if found != KNOWN:
                raise TypeError(f"{ask.__name__} takes {found}, this driver knows {KNOWN}")
        declared = [{"type": "function", "function": {"name": n, "parameters": s}} for n, s in tools.items()]
        messages = [{"role": "user", "content": "x"}]
        self.tool, self.reasoning = tool, reasoning
        self.request = openai_protocol.ChatCompletionRequest(model="m", messages=messages, tools=declared)
        # made once for nothing: a name that the release does not register is an error of the pair, not of each case
        if tool:
            ToolParserFactory.create_tool_parser(tool)
        if reasoning:
            ReasoningParserFactory.create_reasoning_parser(reasoning)

    def _start(self, thinks: bool) -> Any:
        switch = {"enable_thinking": thinks, "thinking": thinks}
        args = postprocess_handlers.ChatPostprocArgs.from_request(
            self.request.model_copy(update={"chat_template_kwargs": switch})
        )
        args.reasoning_parser, args.tool_parser = self.reasoning, self.tool
        return args

    @staticmethod
    def _parse(args: Any, text: str, streaming: bool) -> tuple[str, str, Sequence[Any]]:
        text, think = postprocess_handlers.apply_reasoning_parser(args, 0, text, streaming)
        say, calls = postprocess_handlers.apply_tool_parser(args, 0, text or "", streaming)
        return think or "", say or "", calls

    def whole(self, reply: str, thinks: bool, finished: bool) -> dict[str, Any]:
        """Parse a reply at once."""
        think, say, calls = self._parse(self._start(thinks), reply, False)
        return {"think": think, "say": say, "calls": [[call.name or "", call.parameters] for call in calls]}

    def stream(self, deltas: Sequence[Sequence[str]], thinks: bool, finished: bool, ended: bool) -> dict[str, Any]:
        """Parse a reply delta by delta; one that ends by itself ends with a token of no text."""
        args, got = self._start(thinks), Collected()
        for text in [*("".join(delta) for delta in deltas), *([] if ended else [""])]:
            think, say, calls = self._parse(args, text, True)
            got.think += think
            got.say += say
            for call in calls:
                got.add_call(call.tool_index, call.name, call.parameters)
        return got.outcome()
