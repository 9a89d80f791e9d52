"""Flags of a click command: only those of the command asked for, each with what click itself would do."""

from __future__ import annotations

import pytest

from lab.snapshot.click_flags import read_command
from lab.snapshot.locate import NotFound
from lab.snapshot.source import Module, WheelSource
from matrix.preflight.snapshot import Flag
from tests.lab.snapshot.trtllm_toy import TRTLLM

PACKAGE = WheelSource(TRTLLM)


def serve_module() -> Module:
    module = PACKAGE.module("tensorrt_llm.commands.serve")
    assert module is not None
    return module


EXPECTED = (
    Flag(options=(), dest="model", required=True),
    Flag(options=("--host",), dest="host", default="'localhost'"),
    Flag(options=("--tensor_parallel_size", "--tp_size"), dest="tensor_parallel_size", type="int", default="1"),
    Flag(options=("--share",), dest="share", type="float", default="0.9", deprecated="deprecated"),
    Flag(options=("--fast", "--slow"), dest="fast", action="store_true", default="True"),
    Flag(options=("--trust_remote_code",), dest="trust_remote_code", action="store_true", default="False"),
    Flag(options=("--dirs",), dest="dirs", action="append"),
    Flag(options=("--config", "--extra_llm_api_options"), dest="extra_llm_api_options", default="None"),
    Flag(options=("--log_level",), dest="log_level", choices=("info", "error"), default="'info'"),
    Flag(options=("--backend",), dest="backend", choices=("pytorch", "tensorrt", "trt")),
    Flag(options=("--computed",), dest="computed", choices_unknown=True),
    Flag(options=("--reasoning_parser",), dest="reasoning_parser", choices=("qwen3",)),
    Flag(options=("--tool_parser",), dest="tool_parser", choices=("glm47", "qwen3"), required=True),
)


def test_the_flags_of_one_command_are_read() -> None:
    assert tuple(read_command(PACKAGE, serve_module(), "serve")) == EXPECTED


def test_a_command_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="bench"):
        read_command(PACKAGE, serve_module(), "bench")
