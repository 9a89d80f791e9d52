"""What took the place of former options is named, and none of them is an option of a release that is read."""

from __future__ import annotations

import pytest

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
