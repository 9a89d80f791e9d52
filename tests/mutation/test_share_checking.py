"""Changes of `matrix/checking` that a random share of mutants left unnoticed: a case for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from matrix.checking.command import _checkpoint, _parse_installed
from matrix.checking.handed_on import read_handed_on
from matrix.checking.helm_values import _image
from matrix.checking.judge import CheckRequest, judge_command
from matrix.checking.known_failures import tell_entry
from matrix.checking.launchers import Command
from matrix.checking.layout import add_layout_facts
from matrix.checking.memory import _window
from matrix.checking.model_config import describe_model
from matrix.checking.overrides import _keys_read
from matrix.checking.reach import _read_option
from matrix.checking.releases import parse_release
from matrix.checking.rigs import parse_rig
from matrix.checking.service_notes import note_pod
from matrix.checking.settings import read_settings
from matrix.checking.shell_script import _names_program
from matrix.checking.sources import read_text
from matrix.checking.variables import Variables, Word, expand_word
from matrix.checking.worded import _read_pairs
from matrix.checking.words import RawWord, split_statements
from matrix.checking.yaml_services import _from_files, _read_words
from matrix.yaml.load import load_matrix
from tests.matrix.checking.test_readers import argv, read_one

GIB = 1 << 30


def read_only(text: str, name: str = "run.sh") -> Command:
    (command,), problems = read_text(text, name)
    assert not problems
    return command


def node_of(text: str) -> Any:
    return yaml.compose(text, Loader=yaml.SafeLoader)


def test_a_pool_that_clearly_misses_the_window_is_wrong() -> None:
    (command,) = read_text("vllm serve m --max-model-len 100000", "run.sh")[0]
    settings = read_settings(command, parse_release("vllm==0.26.0").nearest_snapshot())
    facts: dict[str, Any] = {"engine": "vllm", "context": 100_000, "context_given": 100_000}
    sizes = {"vram_gib": "80", "share": "0.90", "weights_gib": "60.0", "size_gib": "480", "weight_ranks": 8}
    [found] = _window(facts, settings, 10_000, 5_000, sizes)
    assert found.level == "wrong"


def test_an_index_says_how_large_its_weights_are(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    index = {"weight_map": {"a": "b.safetensors"}, "metadata": {"total_size": 7}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert _checkpoint(str(tmp_path))[1:] == (frozenset({"a"}), 7)


def test_what_is_installed_is_read() -> None:
    assert list(_parse_installed(["sgl-deep-gemm==0.1.5"])) == ["sgl-deep-gemm"]


def test_a_word_among_a_launchers_options_that_assigns_nothing_is_left() -> None:
    found = read_handed_on([Word("env"), Word("-i"), Word("nice"), Word("A=b")])
    assert {name: word.text for name, word in found.items()} == {"A": "b"}


CHART = """
image: {repository: vllm/vllm-openai, tag: v0.26.0}
args: [--model, /w]
env:
- {name: HF_TOKEN, valueFrom: {secretKeyRef: {name: a, key: b}}}
"""


def test_a_secret_of_a_chart_is_a_hole_and_an_image_may_be_one_text() -> None:
    assert read_only(CHART, "values.yaml").env["HF_TOKEN"].holes == ("a secret",)
    found = _image(node_of("image: vllm/vllm-openai:v0.26.0"))
    assert found is not None and found.text == "vllm/vllm-openai:v0.26.0"


def test_a_file_is_found_by_the_path_that_the_command_names() -> None:
    text = "cat > extra.yaml <<'EOF'\nmax-model-len: 4096\nEOF\nvllm serve zai-org/GLM-5-FP8 --config extra.yaml"
    command = read_only(text)
    assert "extra.yaml" in command.files
    judged = judge_command(command, CheckRequest(release=parse_release("vllm==0.26.0"), host=parse_rig("8x H200")))
    assert "config_file_absent" not in [found.id for found in judged.findings]


@pytest.mark.parametrize(("expect", "level"), [("always", "risky"), ("sometimes", "note")])
def test_a_failure_that_always_comes_is_risky(expect: str, level: str) -> None:
    entry = {
        "id": "x",
        "expect": expect,
        "symptom": "s",
        "fails": {"at": "before_ready", "how": "exit", "signature": "s"},
        "source": {"kind": "run"},
        "added": "2026-11-01",
        "issue": "https://example.org/1",
    }
    assert tell_entry(entry).level == level


@pytest.mark.parametrize(
    "line",
    [
        "python3 -m vllm.entrypoints.cli.main serve /w -tp 8",
        "wrapped vllm serve /w -tp 8",
        "vllm serve /w -tp `echo 8`",
        'A=; vllm serve /w -tp "${A:-8}"',
    ],
)
def test_a_start_is_read_whatever_stands_around_it(line: str) -> None:
    assert argv(read_one(line)) in (["/w", "-tp", "8"], ["/w", "-tp", "$(echo...)"])


def test_one_rank_has_all_heads() -> None:
    facts: dict[str, Any] = {
        **dict.fromkeys(("pcp", "dp_rank", "nodes", "base_gpu", "gpu_step", "ep", "dcp", "experts")),
        **{"tp": 1, "pp": 1, "dp": 1, "heads": 64, "engine": "vllm", "dp_attention": False, "option": {}, "nested": {}},
        "expert_parallel": False,
    }
    add_layout_facts(facts)
    assert (facts["heads_per_rank"], facts["heads_divide"]) == (64, True)


def test_a_checkpoint_without_its_draft_layer_has_none() -> None:
    without = [c for c in load_matrix().checkpoints.values() if c.mtp_layer is False and c.repository]
    assert without
    assert {describe_model(str(c.repository), None).config["num_nextn_predict_layers"] for c in without} == {0}


def test_the_sharing_keys_are_those_that_the_release_reads() -> None:
    assert _keys_read({"sharing_keys": ["index_topk_freq"]}) == ("index_topk_freq",)


def test_a_programs_variable_names_a_variable() -> None:
    text = 'import os, subprocess\nN = "VLLM_A"\nos.environ[N] = "1"\nsubprocess.run(["vllm", "serve", "/w"])\n'
    assert read_only(text, "run.py").env["VLLM_A"].text == "1"


def test_an_option_may_be_glued_to_its_value() -> None:
    assert _read_option(read_only("vllm serve /w --port=8080"), "--port") == "8080"


@pytest.mark.parametrize("key", ["command", "args"])
def test_a_number_among_the_words_of_a_pod_is_told(key: str) -> None:
    noted = note_pod(node_of(f"{key}: [vllm, 8]"), node_of("{}"), 1)
    assert [each.facts["list"] for each in noted if each.id == "word_is_no_text"] == [key]


def test_python_is_a_program_that_a_container_starts() -> None:
    words, _ = split_statements("python x.py", "", 1)
    assert _names_program(tuple(w for raw in words[0].words for w in expand_word(raw, Variables())))


SECRET = {
    "containerDefinitions": [
        {
            "name": "e",
            "image": "vllm/vllm-openai:v0.26.0",
            "command": ["/w", "-tp", "8"],
            "environment": [{"name": "HF_TOKEN", "valueFrom": "arn:x"}],
        }
    ]
}


def test_a_value_that_a_task_takes_from_elsewhere_is_a_hole() -> None:
    command = read_only(json.dumps(SECRET), "task.json")
    assert (command.env["HF_TOKEN"].holes, command.gpus) == (("HF_TOKEN",), "")


def expand_all(text: str, **values: tuple[str, ...]) -> list[str]:
    known = Variables()
    known.values.update({name: tuple(map(Word, each)) for name, each in values.items()})
    statements, _ = split_statements(f"echo {text}", "", 1)
    raws: list[RawWord] = [raw for statement in statements for raw in statement.words]
    return [word.text for raw in raws[1:] for word in expand_word(raw, known)]


def test_an_array_is_its_first_element_unless_all_are_asked_for() -> None:
    assert expand_all('"$A"', A=("x", "y")) == ["x"]
    assert expand_all('"${A[*]}"', A=("x", "y")) == ["x y"]


def test_a_default_stands_for_an_empty_value_with_a_colon_alone() -> None:
    assert expand_all('"${A:-8}"', A=("",)) == ["8"]
    assert expand_all('"${A-8}"', A=("",)) == [""]


def test_backquotes_are_a_command_in_quotes_and_without() -> None:
    statements, _ = split_statements('echo "`cat x`" `cat y` z', "", 1)
    parts = [part for raw in statements[0].words for part in raw.parts if part.kind == "command"]
    assert [(part.text, part.quoted) for part in parts] == [("cat x", True), ("cat y", False)]


def test_only_tabs_are_taken_off_a_here_document() -> None:
    statements, _ = split_statements("cat <<-EOF\n\t  a: 1\n\tEOF\n", "", 1)
    assert statements[0].redirections[0].body == "  a: 1"


@pytest.mark.parametrize(
    ("says", "kind", "names"),
    [
        ("a_format must be 'x' or 'y', got: {}", "among", ("a_format",)),
        ("SGLANG_A_B ({}) must be >= 1", "variable", ("SGLANG_A_B",)),
        ("a_min={} must be <= a_max={}", "order", ("a_min", "a_max")),
    ],
)
def test_the_words_of_a_guard_are_of_one_kind(says: str, kind: str, names: tuple[str, ...]) -> None:
    found = _read_pairs(says)
    assert found is not None and (found.kind, found.names) == (kind, names)


class _Files:
    """A reader that has one file of variables."""

    def environment_of(self, path: str) -> dict[str, Word]:
        return {"VLLM_A": Word("1")} if path == "more.env" else {}


def test_a_file_of_variables_may_be_a_mapping() -> None:
    reader: Any = _Files()
    for written in ("more.env", "[more.env]", "[{path: more.env}]"):
        assert "VLLM_A" in _from_files(node_of(f"env_file: {written}"), "compose", reader), written


def test_words_of_a_pod_may_be_one_text_of_several_lines() -> None:
    words = _read_words(node_of('"serve /w\\n-tp 8"'), "kubernetes", {})
    assert [word.text for word in words] == ["serve", "/w", "-tp", "8"]
