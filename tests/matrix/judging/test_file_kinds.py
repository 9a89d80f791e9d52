"""What lies under a JSON file's name instead of it is told by its kind, and a sound file is told nothing."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
from typing import Any

import pytest

from matrix.judging.file_kinds import name_json_kind, name_refusal

KINDS: dict[str, tuple[bytes, str]] = {
    "web page": (b"<!DOCTYPE html><html><title>Sign in</title></html>", "a web page"),
    "web page behind blanks": (b"\n\n  <HTML lang=en>", "a web page"),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
        "Git LFS pointer.*git lfs pull",
    ),
    "gzip": (gzip.compress(b"{}"), "gzip"),
    "bzip2": (bz2.compress(b"{}"), "bzip2"),
    "xz": (lzma.compress(b"{}"), "xz"),
    "zstd": (b"\x28\xb5\x2f\xfd\x00\x00", "zstd"),
    "zip": (b"PK\x03\x04\x00\x00", "zip"),
    "GGUF": (b"GGUF\x03\x00\x00\x00", "GGUF"),
    "store": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML.*AccessDenied"),
    "words": (b"Entry not found", "answer: 'Entry not found'"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "UTF-16"),
    "mark": (b"\xef\xbb\xbf{}", "byte order mark"),
    "nothing": (b"", "empty"),
    "blanks": (b"\n \n", "empty but for blanks"),
    "zeros": (bytes(64), "zeros"),
    "half": (b'{"architectures": ["Glm', "cut"),
    "quotes": (b"{'architectures': []}", "single quotes"),
    "comment": (b'{\n  // how many\n  "index_topk": 2048\n}', "comments"),
    "comma": (b'{"index_topk": 2048,\n}', "comma behind the last"),
    "constant": (b'{"rope_scaling": None}', "None of Python"),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_it_is_instead_is_named(name: str) -> None:
    content, words = KINDS[name]
    assert re.search(words, name_json_kind(content)), name_json_kind(content)


@pytest.mark.parametrize(
    "content", [b'{"a": "https://x.y//z"}', b"[1, 2]", b"{}\n", b"NaN", b'{"rope_theta": -Infinity}']
)
def test_what_is_json_or_only_no_number_gets_no_name(content: bytes) -> None:
    assert not name_json_kind(content)


REFUSALS: list[dict[str, Any]] = [
    {"error": "Repository not found"},
    {"error": "Access is restricted", "status": 403},
    {"message": "Not Found", "documentation_url": "https://docs", "status": "404"},
    {"detail": "Not authenticated"},
    {"Code": 10010205001, "Message": "no such model", "RequestId": "1", "Success": False, "message": "no such model"},
]


@pytest.mark.parametrize("value", REFUSALS, ids=json.dumps)
def test_a_servers_refusal_is_told_with_its_words(value: dict[str, Any]) -> None:
    said = name_refusal(value)
    assert "server's answer" in said
    assert str(next(v for k, v in value.items() if k in ("error", "message", "detail"))) in said


@pytest.mark.parametrize(
    "value", [{}, {"error": ""}, {"model_type": "x", "error": "e"}, {"version": "1.0", "model": {}}]
)
def test_a_file_that_says_anything_of_its_own_is_no_refusal(value: dict[str, Any]) -> None:
    assert not name_refusal(value)
