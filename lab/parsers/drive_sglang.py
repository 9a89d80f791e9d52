"""SGLang's own parsers, joined as its `serving_chat.py` joins them. Runs inside the release's environment.

The join is short and is told again here, because that module imports the whole server: the reasoning parser first, then
the tool parser on what is left; at the end both are flushed where the release has a flush, and arguments that were
parsed and not sent are sent (`_check_for_unstreamed_tool_args`).
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sglang.srt.entrypoints.openai import protocol
from sglang.srt.function_call.function_call_parser import FunctionCallParser
from sglang.srt.parser.reasoning_parser import ReasoningParser

from lab.parsers.collected import Collected

# Later releases send the rest only where it continues what was sent; earlier ones cut the sent text out of the whole.
SERVING = Path(protocol.__file__).with_name("serving_chat.py").read_text(encoding="utf-8")
BEGINS_WITH_SENT = "expected_call.startswith(actual_call)" in SERVING


class ParserPair:
    """A tool parser and a reasoning parser, either of which may be None."""

    def __init__(self, tool: str | None, reasoning: str | None, tokenizer: Any, tools: Mapping[str, Any]) -> None:
        self.tool, self.reasoning, self.tokenizer = tool, reasoning, tokenizer
        declared = [{"type": "function", "function": {"name": n, "parameters": s}} for n, s in tools.items()]
        self.request = protocol.ChatCompletionRequest(
            model="m", messages=[{"role": "user", "content": "x"}], tools=declared
        )
        # made once for nothing: modules are imported now, before stand-ins refuse to be called
        for thinks in (True, False):
            self._make(thinks)

    def _make(self, thinks: bool) -> tuple[Any, Any]:
        tool = reasoning = None
        if self.reasoning:
            named = {"tokenizer": self.tokenizer, "tool_call_parser_active": bool(self.tool)}
            known = inspect.signature(ReasoningParser.__init__).parameters
            reasoning = ReasoningParser(
                # by what the release's own signature has: arguments came with releases
                self.reasoning,
                True,
                thinks,
                self._asked(thinks),
                **{k: v for k, v in named.items() if k in known},
            )
        if self.tool:
            known = inspect.signature(FunctionCallParser.__init__).parameters
            named = {"tokenizer": self.tokenizer} if "tokenizer" in known else {}
            tool = FunctionCallParser(self.request.tools, self.tool, **named)
        return reasoning, tool

    def _asked(self, thinks: bool) -> Any:
        switch = {"enable_thinking": thinks, "thinking": thinks}
        return self.request.model_copy(update={"chat_template_kwargs": switch})

    def whole(self, reply: str, thinks: bool, finished: bool) -> dict[str, Any]:
        """Parse a reply at once."""
        reasoning, tool = self._make(thinks)
        think, text, calls = "", reply, []
        if reasoning:
            think, text = reasoning.parse_non_stream(text)
        # asked first, as serving_chat.py does
        if tool and tool.has_tool_call(text or ""):
            text, found = tool.parse_non_stream(text or "")
            calls = [[call.name, call.parameters] for call in found]
        return {"think": think or "", "say": text or "", "calls": calls}

    def stream(self, deltas: Sequence[Sequence[str]], thinks: bool, finished: bool, ended: bool) -> dict[str, Any]:
        """Parse a reply delta by delta."""
        reasoning, tool = self._make(thinks)
        got = Collected()
        steps = [("".join(delta), False) for delta in deltas]
        steps = [*steps[:-1], (steps[-1][0], True)] if ended else [*steps, ("", True)]
        for delta, is_last in steps:
            text = self._think(reasoning, delta, is_last, got) if reasoning else delta
            if tool:
                self._call(tool, text, is_last, got)
            else:
                got.say += text
        return got.outcome()

    @staticmethod
    def _think(reasoning: Any, text: str, is_last: bool, got: Any) -> str:
        think, rest = reasoning.parse_stream_chunk(text)
        rest = rest or ""
        got.think += think or ""
        if is_last and hasattr(reasoning, "parse_stream_end"):
            think, more = reasoning.parse_stream_end()
            got.think += think or ""
            rest += more or ""
        return rest

    @staticmethod
    def _call(tool: Any, text: str, is_last: bool, got: Any) -> None:
        say, calls = tool.parse_stream_chunk(text)
        calls = list(calls)
        if is_last and hasattr(tool, "parse_stream_end"):
            more, ended = tool.parse_stream_end()
            say, calls = (say or "") + (more or ""), [*calls, *ended]
        got.say += say or ""
        for call in calls:
            got.add_call(call.tool_index, call.name, call.parameters)
        if is_last:
            _send_rest(tool.detector, got)


def _send_rest(detector: Any, got: Any) -> None:
    """Send what the detector parsed of its last call and did not stream."""
    parsed, sent = getattr(detector, "prev_tool_call_arr", None), getattr(detector, "streamed_args_for_tool", None)
    # as the server: a call whose arguments were never opened has no rest that could be sent
    if not parsed or not sent or len(parsed) > len(sent):
        return
    index = len(parsed) - 1
    wanted = parsed[index].get("arguments", {})
    wanted = wanted if isinstance(wanted, str) else json.dumps(wanted, ensure_ascii=False)
    rest = ""
    if BEGINS_WITH_SENT and wanted.startswith(sent[index]):
        rest = wanted[len(sent[index]) :]
    elif not BEGINS_WITH_SENT and sent[index] in wanted:
        rest = wanted.replace(sent[index], "", 1)
    if rest:
        got.add_call(index, None, rest)
