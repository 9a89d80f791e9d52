"""Texts of variables that an engine refuses, or takes for its default."""

from __future__ import annotations

import pytest

from matrix.checking.judge import CheckRequest, judge_command
from matrix.checking.releases import parse_release
from matrix.checking.sources import read_text

VLLM, SGLANG = "vllm serve m -tp 8", "sglang serve --model-path m --tp 8"


@pytest.mark.parametrize(
    ("release", "env", "level", "write"),
    [
        ("vllm==0.33.0", "VLLM_USE_DEEP_GEMM=true", "wrong", "Write 1."),
        ("vllm==0.33.0", "VLLM_USE_DEEP_GEMM=False", "wrong", "Write 0."),
        ("vllm==0.33.0", "VLLM_USE_DEEP_GEMM=", "wrong", "Write 0."),
        ("vllm==0.33.0", "VLLM_USE_DEEP_GEMM=1", "", ""),
        ("vllm==0.33.0", "VLLM_KV_CACHE_LAYOUT=NHWC", "wrong", "Write one of these."),
        ("vllm==0.33.0", "VLLM_KV_CACHE_LAYOUT=HND", "", ""),
        ("vllm==0.33.0", "VLLM_ENGINE_READY_TIMEOUT_S=1h", "wrong", "Write one of these."),
        ("vllm==0.33.0", "VLLM_ENGINE_READY_TIMEOUT_S=3600", "", ""),
        ("vllm==0.33.0", "VLLM_LOGGING_LEVEL=debug", "", ""),
        ("vllm==0.33.0", "VLLM_USE_DEEP_GEMM=$DG", "", ""),
        ("sglang==0.5.23", "SGLANG_ENABLE_JIT_DEEPGEMM=off", "risky", "Write 0."),
        ("sglang==0.5.23", "SGL_ENABLE_JIT_DEEPGEMM=off", "risky", "Write 0."),
        ("sglang==0.5.23", "SGLANG_ENABLE_JIT_DEEPGEMM=No", "", ""),
        ("sglang==0.5.17", "SGLANG_ENABLE_SPEC_V2=enabled", "risky", "Write 1."),
    ],
)
def test_the_text_of_a_variable(release: str, env: str, level: str, write: str) -> None:
    (command,) = read_text(f"{env} {SGLANG if 'sglang' in release else VLLM}\n", "run.sh")[0]
    found = judge_command(command, CheckRequest(release=parse_release(release))).findings
    told = [(f.level, f.remedy) for f in found if f.id.startswith("variable_of_no_value")]
    assert told == ([(level, write)] if level else []), told
