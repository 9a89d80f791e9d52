"""The join of TensorRT-LLM's parsers is the release's own, and another one than the driver knows is not asked."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

NAME = "lab.parsers.drive_tensorrt_llm"


class _Factory:
    @staticmethod
    def create_tool_parser(name: str) -> None:
        if name != "toy":
            raise ValueError(f"Invalid tool_parser: {name}")

    create_reasoning_parser = create_tool_parser


class _Request(types.SimpleNamespace):
    def model_copy(self, update: dict[str, Any]) -> _Request:
        return _Request(**{**vars(self), **update})


@dataclass
class _Args:
    thinks: bool
    reasoning_parser: str = ""
    tool_parser: str = ""
    inside: bool = True

    @classmethod
    def from_request(cls, request: _Request) -> _Args:
        return cls(request.chat_template_kwargs["enable_thinking"])


def apply_reasoning_parser(args: _Args, output_index: int, text: str, streaming: bool) -> tuple[str, str]:
    if not (args.inside and args.thinks):
        return text, ""
    think, end, rest = text.partition("</think>")
    args.inside = not end
    return rest, think


def apply_tool_parser(args: _Args, output_index: int, text: str, streaming: bool) -> tuple[str, list[Any]]:
    say, _, name = text.partition("call:")
    return say, [types.SimpleNamespace(tool_index=0, name=name, parameters="{}")] if name else []


def apply_newer_parser(args: _Args, output_index: int, text: str, streaming: bool, ended: bool) -> tuple[str, str]:
    return text, ""


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    def load_driver(**handlers: Any) -> Any:
        named = {"apply_reasoning_parser": apply_reasoning_parser, "apply_tool_parser": apply_tool_parser, **handlers}
        modules = {
            "serve.openai_protocol": {"ChatCompletionRequest": _Request},
            "serve.postprocess_handlers": {"ChatPostprocArgs": _Args, **named},
            "serve.tool_parser.tool_parser_factory": {"ToolParserFactory": _Factory},
            "llmapi.reasoning_parser": {"ReasoningParserFactory": _Factory},
        }
        packages = ("", ".serve", ".serve.tool_parser", ".llmapi")
        for name in (*(f"tensorrt_llm{part}" for part in packages), *(f"tensorrt_llm.{name}" for name in modules)):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        for name, content in modules.items():
            vars(sys.modules[f"tensorrt_llm.{name}"]).update(content)
        monkeypatch.delitem(sys.modules, NAME, raising=False)
        return importlib.import_module(NAME)

    yield load_driver
    sys.modules.pop(NAME, None)


def test_the_tool_parser_reads_what_the_reasoning_parser_leaves(load: Callable[..., Any]) -> None:
    pair = load().ParserPair("toy", "toy", None, {"f": {}})
    reply = ["a call:x", "</think>", "b", "call:f"]
    wanted = {"think": "a call:x", "say": "b", "calls": [["f", "{}"]]}
    assert pair.whole("".join(reply), True, True) == wanted
    assert pair.stream([[text] for text in reply], True, True, False) == wanted
    assert pair.whole("x", False, True) == {"think": "", "say": "x", "calls": []}


def test_a_name_that_is_not_registered_is_no_pair(load: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="Invalid tool_parser: glm47"):
        load().ParserPair("glm47", "toy", None, {})


def test_a_release_that_joins_its_parsers_otherwise_is_not_asked(load: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"ended.*this driver knows"):
        load(apply_reasoning_parser=apply_newer_parser).ParserPair("toy", "toy", None, {})
