"""Lines of llama-server: what a build takes, and what it refuses."""

from __future__ import annotations

import shlex

import pytest

from matrix.checking.judge import CheckRequest, judge_command
from matrix.checking.sources import read_words

LINES = [
    (
        "llama-server -m g.gguf -c 131072 -ngl 99 -fa on -ctk q8_0 -ctv q8_0 --jinja -np 4",
        {"llama_slots_share_the_window"},
    ),
    ("llama-server -m g.gguf -c 131072 -np 4 --kv-unified", set()),
    ("llama-server -m g.gguf -c 131072 -np 1", set()),
    ("llama-server -m g.gguf -fa -ngl 99", {"llama_option_without_its_value"}),
    ("llama-server -m g.gguf -fa", {"llama_option_without_its_value"}),
    ("llama-server -m g.gguf -fa yes", {"llama_option_without_its_value"}),
    ("llama-server -m g.gguf -fa auto -ngl -1", set()),
    ("llama-server -m -c 4096", {"llama_option_without_its_value"}),
    ("llama-server -m g.gguf -ctv q8_0", set()),  # flash attention is turned on by itself
    ("llama-server -m g.gguf -fa off --cache-type-v q4_0", {"llama_quantised_values"}),
    ("llama-server -m g.gguf -fa off --cache-type-k q4_0", set()),
    ("llama-server -m g.gguf -ctk fp8", {"llama_cache_type_unknown"}),
    ("llama-server -m g.gguf --n-gpu-layer 99", {"llama_option_unknown"}),
    ("llama serve -hf a/b:Q4_K_M --spec-draft-model d.gguf --seed -1", set()),
    ("llama-server -m g.gguf -b 8192 -ub 8192", {"llama_micro_batch"}),
    ("llama-server -m g.gguf -ub 8192", {"llama_micro_batch_above_batch"}),
    ("llama-server -m g.gguf -ub 1024", set()),
    ("llama-server -m g.gguf -c 200k", {"llama_number_cut"}),
    ("llama-server -m g.gguf -c 131,072", {"llama_number_cut"}),
    ("llama-server -m g.gguf -c $WINDOW", set()),
    ("llama-server -m g.gguf --reasoning-format glm45", {"llama_value_unknown"}),
    ("llama-server -m g.gguf --reasoning-format deepseek -sm row --spec-type draft-mtp,ngram-mod", set()),
    ("llama-server -m g.gguf -sm tensors", {"llama_value_unknown"}),
    ("llama-server -m g.gguf --draft-max 3", {"llama_option_removed"}),
    ("llama-server -m g.gguf --spec-draft-n-max 3", set()),
    ("llama-server -hf a/b -hff d/g-00003-of-00007.gguf", {"llama_part_is_not_the_first"}),
    ("llama-server -m g-00002-of-00012.gguf", {"llama_part_is_not_the_first"}),
    ("llama-server -m g.gguf -ot exps", {"llama_value_unknown"}),
    ("llama-server -m g.gguf -ot .ffn_.*_exps.=CPU,blk.1=CUDA0 -ts 3,1 --override-kv a.b=int:4", set()),
    ("llama-server -m g.gguf --override-kv a.b=4", {"llama_value_unknown"}),
    ("llama-server -m g-00001-of-00012.gguf --model-draft d-00003-of-00004.gguf", {"llama_part_is_not_the_first"}),
]


@pytest.mark.parametrize(("line", "wanted"), LINES)
def test_a_line_of_llama_server_is_told_what_its_build_says(line: str, wanted: set[str]) -> None:
    commands, problems = read_words(shlex.split(line))
    assert not problems
    told = {
        finding.id for finding in judge_command(commands[0], CheckRequest()).findings if finding.id.startswith("llama_")
    }
    assert told == wanted | {"llama_judged_by_build"}


def test_an_unknown_option_names_the_nearest_one() -> None:
    commands, _ = read_words(["llama-server", "--ctx-sise", "4096"])
    found = next(f for f in judge_command(commands[0], CheckRequest()).findings if f.id == "llama_option_unknown")
    assert "--ctx-size" in found.cause


def test_an_option_of_former_builds_is_risky_and_names_its_successor() -> None:
    commands, _ = read_words(["llama-server", "-m", "g.gguf", "--no-mmap"])
    found = next(f for f in judge_command(commands[0], CheckRequest()).findings if f.id == "llama_option_unknown")
    assert found.level == "risky"
    assert "--load-mode took its place" in found.cause
