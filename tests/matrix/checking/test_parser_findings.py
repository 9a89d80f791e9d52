"""What took the place of former options is named, and none of them is an option of a release that is read."""

from __future__ import annotations

import pytest

from matrix.checking.elsewhere import say_where
from matrix.checking.judge import CheckRequest, judge_command
from matrix.checking.parser_findings import read_former_flags
from matrix.checking.releases import parse_release
from matrix.checking.sources import read_words
from matrix.preflight.snapshot import list_releases, snapshot_for

SNAPSHOTS = [snapshot for release in list_releases() if (snapshot := snapshot_for(release)) is not None]


@pytest.mark.parametrize("engine", read_former_flags())
def test_a_former_option_is_gone_and_its_heir_is_there(engine: str) -> None:
    ours = [s for s in SNAPSHOTS if s.engine == engine and not s.fork and s.flags]
    newest = set(ours[-1].options)
    for option, row in read_former_flags()[engine].items():
        assert not any(option in s.options for s in ours), option
        heir = row["write"].partition(" ")[0]
        assert not heir or heir in newest, option
        assert row["source"], option


@pytest.mark.parametrize(
    ("release", "line", "word"),
    [
        ("sglang==0.5.23", "sglang serve --model-path /w --max-model-len 65536", "--context-length"),
        ("sglang==0.5.23", "sglang serve --model-path /w --gpu-memory-utilization 0.9", "--mem-fraction-static"),
        ("vllm==0.33.0", "vllm serve /w --mem-fraction-static 0.85", "--gpu-memory-utilization"),
        ("vllm==0.33.0", "vllm serve /w --context-length 65536", "--max-model-len"),
        ("vllm==0.33.0", "vllm serve /w --tp 8", "--tensor-parallel-size"),
        ("trtllm==1.3.0rc3", "trtllm-serve /w --tp-size 8", "--tp_size"),
        ("trtllm==1.3.0rc3", "trtllm-serve /w --max-model-len 65536", "--max_seq_len"),
    ],
)
def test_another_engines_flag_is_translated(release: str, line: str, word: str) -> None:
    (command,), _ = read_words(line.split())
    found = judge_command(command, CheckRequest(release=parse_release(release))).findings
    assert any(f.id == "unknown_flag" and word in f.remedy for f in found), [f.remedy for f in found]


@pytest.mark.parametrize(
    ("release", "kind", "name", "told"),
    [
        ("vllm_0_16_0", "unknown_flag", "--moe-backend", "vLLM 0.17.0 is the first release that has it."),
        (
            "sglang_0_5_23",
            "unknown_flag",
            "--nsa-prefill-backend",
            "SGLang 0.5.19 is the last release that has it; it is gone from 0.5.20 on.",
        ),
        (
            "trtllm_1_3_0rc3",
            "architecture",
            "GlmMoeDsaForCausalLM",
            "TensorRT-LLM 1.3.0rc26 is the first release of those read that has it.",
        ),
        ("vllm_0_33_0", "unknown_flag", "--no-release-has-it", ""),
    ],
)
def test_where_else_a_word_is_known(release: str, kind: str, name: str, told: str) -> None:
    snapshot = snapshot_for(release)
    assert snapshot is not None
    assert say_where(kind, name, snapshot) == told
