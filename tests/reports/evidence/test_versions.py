"""Which of an engine's own words is its version."""

from __future__ import annotations

import pytest

from reports.evidence.versions import find_version


@pytest.mark.parametrize(
    ("engine", "versions", "found"),
    [
        ("vllm", {"torch": "2.11", "version": "0.26.0", "vllm": "0.26.1"}, "0.26.1"),
        ("vllm", {"torch": "2.11", "version": "0.26.0"}, "0.26.0"),
        ("llamacpp", {"gguf": "0.19", "xllamacpp": "2026.10.11549"}, "2026.10.11549"),
        ("llamacpp", {"llama.cpp": "b0-unknown"}, "b0-unknown"),
        ("vllm", {"torch": "2.11"}, ""),
        ("", {"torch": "2.11"}, ""),
    ],
)
def test_the_version_is_the_engines(engine: str, versions: dict[str, str], found: str) -> None:
    assert find_version(engine, versions) == found
