"""`transformers serve` parses the families that a table of its own names; where no table is, nothing is known."""

from __future__ import annotations

import pytest

from lab.snapshot.extract import extract_snapshot
from lab.snapshot.locate import NotFound
from lab.snapshot.serve_parsers import read_parsers
from lab.snapshot.source import WheelSource
from lab.snapshot.wheel import Wheel

OLD = b'"""Serve."""\n_TOOL_CALL_TOKENS = {"qwen": {"start": "<tool_call>", "end": "</tool_call>"}}\n'
DEFAULTS = b"""
_TOOL_CALL_FALLBACKS = {("qwen2", "qwen3"): {"schema": {"type": "array"}}}
_DEFAULT_THINKING_TOKENS = {"start": ["<think>"], "end": "</think>"}
"""
TEMPLATES = b"""
_RESPONSE_TEMPLATE_FALLBACKS = {
    ("qwen3",): {"fields": {"reasoning_content": {"open": "<think>"}, "tool_calls": {}}},
    ("glm_moe_dsa",): {"fields": {"tool_calls": {}}},
}
"""
UTILS = "transformers/cli/serving/utils.py"


@pytest.mark.parametrize(
    ("path", "text", "calls", "thoughts", "where"),
    [
        (
            "transformers/commands/serving.py",
            OLD,
            ("qwen",),
            (),
            "transformers/commands/serving.py:2 _TOOL_CALL_TOKENS",
        ),
        ("transformers/cli/serve.py", OLD, ("qwen",), (), "transformers/cli/serve.py:2 _TOOL_CALL_TOKENS"),
        (UTILS, DEFAULTS, ("qwen2", "qwen3"), ("<think>",), f"{UTILS}:2 _TOOL_CALL_FALLBACKS"),
        (UTILS, TEMPLATES, ("glm_moe_dsa", "qwen3"), ("qwen3",), f"{UTILS}:2 _RESPONSE_TEMPLATE_FALLBACKS"),
    ],
)
def test_families_are_read_where_each_release_has_them(
    path: str, text: bytes, calls: tuple[str, ...], thoughts: tuple[str, ...], where: str
) -> None:
    found, at = read_parsers(WheelSource({path: text}))
    assert (found.get("tool_call", ()), found.get("reasoning", ()), at) == (calls, thoughts, where)


def test_a_table_that_moved_is_unread_and_not_empty() -> None:
    moved = WheelSource({UTILS: b"_TEMPLATES = {}\n"})
    with pytest.raises(NotFound, match="_RESPONSE_TEMPLATE_FALLBACKS"):
        read_parsers(moved)
    read = extract_snapshot(
        "transformers",
        "9",
        Wheel("transformers-9.whl", "0" * 64, {UTILS: b"x = 1\n", "transformers-9.dist-info/METADATA": b""}),
    )
    assert not read.knows("parsers")
    assert "_TOOL_CALL_TOKENS" in read.unread["parsers"]
