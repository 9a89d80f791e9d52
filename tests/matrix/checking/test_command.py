"""`check` as a command: sources of text, exit codes, JSON, usage errors that name what was expected; nothing raises."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.weights.checkpoint_files import read_checkpoint
from matrix.checking.command import main
from matrix.checking.judge import CheckRequest, judge_command
from matrix.checking.launchers import Command
from matrix.checking.releases import parse_release, release_of_image
from matrix.checking.rigs import parse_rig
from matrix.checking.settings import read_kinds
from matrix.checking.sharing import read_sharing, stage_starts
from matrix.checking.variables import words_of
from matrix.checkout import CHECKOUT
from matrix.preflight.checkpoints.files import CheckpointFiles, Shard

FINE = ["--rig", "sm90x8", "--release", "sglang==0.5.17", "--", "sglang", "serve", "--model-path", "zai-org/GLM-5-FP8"]

CANARY = CHECKOUT / "fixtures" / "canary" / "hf"


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["--json", *words])
    return code, json.loads(capsys.readouterr().out)


def test_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FINE, "--tp", "8"]) == 0
    assert main([*FINE, "--tp", "16"]) == 1
    assert main([*FINE, "--tp", "8", "--enable-hierarchical-cache"]) == 3
    assert main(["--rig", "sm90x8", "--release", "sglang==7.7.7", *FINE[4:], "--tp", "8"]) == 3
    assert main(["--rig", "sm90x8", "--release", "nothing==1", "--", "vllm", "serve", "x"]) == 2
    assert "no engine is called 'nothing'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (
            ("sglang", "serve", "--model-path", "zai-org/GLM-5-FP8", "--tp", "8", "--context-lenght", "8192"),
            "--context-length",
        ),
        (("vllm", "serve", "zai-org/GLM-5-FP8", "-tp", "8", "--max-model-length", "8192"), "--max-model-len"),
    ],
)
def test_a_slip_is_told_although_no_release_was_named(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], near: str
) -> None:
    assert main(["--rig", "sm90x8", "--", *words]) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert f"has {words[-2]}." in said and f"Did you mean {near}?" in said and "that was read (0." in said


def test_an_option_that_only_an_older_release_has_is_no_slip(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--rig", "sm90x8", "--", "vllm", "serve", "zai-org/GLM-5-FP8", "-tp", "8", "--calculate-kv-scales"])
    assert "No release" not in capsys.readouterr().out


def test_a_line_without_dashes_in_front_is_told_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rig", "sm90x8", "vllm", "serve", "zai-org/GLM-5.1-FP8", "-tp", "8"])
    assert "put -- in front of the command" in capsys.readouterr().err


def test_text_says_the_worst_first_with_cause_and_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    main([*FINE, "--tp", "8", "--kv-cache-dtpe", "fp8_e4m3", "--enable-hierarchical-cache"])
    out = capsys.readouterr().out
    assert out.startswith("WRONG")
    assert out.index("--kv-cache-dtpe") < out.index("--enable-hierarchical-cache")
    assert "Did you mean --kv-cache-dtype?" in out
    assert max(map(len, out.splitlines())) <= 122


def test_a_named_parser_is_told_what_it_gets_wrong_in_that_release(capsys: pytest.CaptureFixture[str]) -> None:
    line = [*FINE, "--tp", "8", "--tool-call-parser"]
    line[line.index("sglang==0.5.17")] = "sglang==0.5.23"
    _, data = run_json(capsys, *line, "glm45")
    found = next(f for f in data["commands"][0]["findings"] if f["id"] == "parser_answers")
    assert "look_alike" in found["cause"]
    assert found["decided_by"]["kind"] == "run"
    _, data = run_json(capsys, *line, "qwen3_coder")
    assert "parser_answers" not in {f["id"] for f in data["commands"][0]["findings"]}


def test_a_script_names_its_file_and_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "launch.sh"
    script.write_text("#!/bin/sh\nvllm serve zai-org/GLM-5-FP8 \\\n  -tp 8 \\\n  -dcp 3\n")
    code, data = run_json(capsys, "--rig", "sm100x8", "--release", "vllm==0.33.0", str(script))
    assert code == 1
    found = next(f for f in data["commands"][0]["findings"] if f["id"] == "dcp_does_not_divide")
    assert found["line"] == 4
    assert data["commands"][0]["where"] == f"{script}:2"


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"vllm serve zai-org/GLM-5-FP8 -tp 8")))
    code, data = run_json(capsys, "--rig", "sm90x8", "--release", "vllm==0.33.0", "-")
    assert code == 0
    assert data["commands"][0]["argv"] == ["zai-org/GLM-5-FP8", "-tp", "8"]


def test_the_image_names_the_release(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["docker", "run", "vllm/vllm-openai:v0.33.0-cu130", "--model", "zai-org/GLM-5-FP8", "-tp", "8"]
    _, data = run_json(capsys, "--gpus", "8x H200", "--", *line)
    assert data["commands"][0]["release"] == "vllm==0.33.0"
    code, data = run_json(capsys, "--gpus", "8x H200", "--release", "vllm==0.26.0", "--", *line)
    assert code == 3
    assert data["commands"][0]["findings"][0]["id"] == "releases_disagree"


@pytest.mark.parametrize(
    ("image", "release"),
    [
        ("lmsysorg/sglang:v0.5.10.post1-cu130", "sglang==0.5.10.post1"),
        ("docker.io/vllm/vllm-openai:v0.33.0", "vllm==0.33.0"),
        ("nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc3", "trtllm==1.3.0rc3"),
        ("vllm/vllm-openai:latest", "image vllm/vllm-openai:latest"),
        ("lmsysorg/sglang@sha256:abc", "image lmsysorg/sglang@sha256:abc"),
        ("voipmonitor/sglang:v0.5.17", "image voipmonitor/sglang:v0.5.17"),
    ],
)
def test_only_the_tag_of_an_official_image_is_a_release(image: str, release: str) -> None:
    found = release_of_image(image)
    assert found is not None
    assert found.name == release


def test_a_configuration_file_is_read_and_the_line_wins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "serve.yaml").write_text(
        "tensor-parallel-size: 8\ndecode-context-parallel-size: 3\nkv-cache-dtype: fp8\n"
    )
    script = tmp_path / "launch.sh"
    script.write_text("vllm serve zai-org/GLM-5-FP8 --config serve.yaml")
    _, data = run_json(capsys, "--rig", "sm100x8", "--release", "vllm==0.33.0", str(script))
    assert "dcp_does_not_divide" in {f["id"] for f in data["commands"][0]["findings"]}
    script.write_text("vllm serve zai-org/GLM-5-FP8 --config serve.yaml --decode-context-parallel-size 4")
    _, data = run_json(capsys, "--rig", "sm100x8", "--release", "vllm==0.33.0", str(script))
    assert "dcp_does_not_divide" not in {f["id"] for f in data["commands"][0]["findings"]}


def test_the_weights_speak_against_the_pattern(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"architectures": ["GlmMoeDsaForCausalLM"], "num_hidden_layers": 4, "index_topk": 2048}
    (tmp_path / "config.json").write_text(json.dumps(config))
    names = [f"model.layers.{i}.self_attn.indexer.wk.weight" for i in (0, 1)]
    index = {"metadata": {"total_size": 5}, "weight_map": dict.fromkeys(names, "a.safetensors")}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    words = ["--rig", "sm90x8", "--config", str(tmp_path), "--release", "vllm==0.33.0", "--", "vllm", "serve", "/w"]
    _, data = run_json(capsys, *words)
    assert "selecting_layer_without_weights" in {f["id"] for f in data["commands"][0]["findings"]}
    _, data = run_json(capsys, *words, "--hf-overrides.index_topk_pattern", "FFSS")
    assert "selecting_layer_without_weights" not in {f["id"] for f in data["commands"][0]["findings"]}
    _, data = run_json(capsys, *words, "--hf-overrides.index_topk_pattern", "FSSS")
    assert "sharing_layer_with_weights" in {f["id"] for f in data["commands"][0]["findings"]}


@pytest.mark.parametrize(
    ("override", "first"), [("index_topk_pattern FSFS", "Layer 1 shares"), ("index_topk_freq 2", "Layer 2 shares")]
)
def test_headers_speak_against_sharing_where_no_index_does(
    override: str, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One shard has no index: on one H200 such a start of 0.33.0 ended with a KeyError at the indexer of the layer."""
    words = ["--rig", "sm90x1", "--release", "vllm==0.33.0"]
    line = ["--", "vllm", "serve", str(CANARY), *f"--hf-overrides.{override}".split()]
    for named in ([], ["--config", str(CANARY)]):
        assert main(["--json", *words, *named, *line], read_checkpoint) == 1
        (found,) = [f for f in json.loads(capsys.readouterr().out)["commands"][0]["findings"] if f["level"] == "wrong"]
        assert found["id"] == "sharing_layer_with_weights"
        assert found["cause"].startswith(first)


def test_without_tensor_names_sharing_by_the_line_is_a_risk(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--rig", "sm90x1", "--release", "vllm==0.33.0", "--config", str(CANARY / "config.json")]
    line = ["--", "vllm", "serve", "/w", "--hf-overrides.index_topk_pattern"]
    _, data = run_json(capsys, *words, *line, "FSFS")
    assert data["commands"][0]["verdict"] == "risky"
    assert "sharing_layer_of_unseen_weights" in {f["id"] for f in data["commands"][0]["findings"]}
    for more in ([*words, *line, "FFFF"], ["--release", "vllm==0.26.0", *words[:2], *words[4:], *line, "FSFS"]):
        _, data = run_json(capsys, *more)
        assert "sharing_layer_of_unseen_weights" not in {f["id"] for f in data["commands"][0]["findings"]}


def test_the_folder_that_a_file_of_lines_serves_is_not_taken_for_one_of_this_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.sh").write_text(f"vllm serve {CANARY}")
    _, data = run_json(capsys, "--rig", "sm90x1", "--release", "vllm==0.33.0", str(tmp_path / "run.sh"))
    assert data["commands"][0]["model"].endswith("(assumed)")


def test_a_line_of_which_a_part_waits_is_fine_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    """The memory of `sm100x2` is not known, and two GPUs may be too few for these weights."""
    words = ["--release", "vllm==0.33.0", "--", "vllm", "serve", "zai-org/GLM-5-FP8", "-tp"]
    assert main(["--rig", "sm100x2", *words, "2"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("FINE SO FAR ") and "1 further checks wait for the GPUs" in said
    assert main(["--rig", "sm90x8", *words, "8"]) == 0 and capsys.readouterr().out.startswith("FINE  ")


def test_a_hole_is_nobodys_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "launch.sh"
    script.write_text(
        'sglang serve --model-path zai-org/GLM-5-FP8 --tp "$RANKS" --nnodes $NODES --kv-cache-dtype $KV $MORE'
    )
    code, data = run_json(capsys, "--rig", "sm90x8", "--release", "sglang==0.5.17", str(script))
    assert code == 0, data["commands"][0]["findings"]
    assert data["commands"][0]["undecided"] > 5


def test_a_variable_that_became_a_flag_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--env", "VLLM_ATTENTION_BACKEND=FLASHMLA_SPARSE", "--rig", "sm90x8", "--release", "vllm==0.33.0"]
    _, data = run_json(capsys, *words, "--", "vllm", "serve", "zai-org/GLM-5-FP8", "-tp", "8")
    found = next(f for f in data["commands"][0]["findings"] if f["id"] == "env_unread")
    assert found["remedy"] == "The release takes --attention-backend instead."


def test_a_config_is_linted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"architectures": ["GlmMoeDsaForCausalLM"], "n_routed_experts": 8, "num_experts_per_tok": 9}
    (tmp_path / "config.json").write_text(json.dumps(config))
    words = ["--rig", "sm90x8", "--release", "vllm==0.33.0", "--config", str(tmp_path / "config.json")]
    code, data = run_json(capsys, *words, "--", "vllm", "serve", "/w", "-tp", "8")
    assert code == 1
    assert [f["id"] for f in data["commands"][0]["findings"] if f["level"] == "wrong"] == ["checkpoint_top_k"]


def test_a_folder_is_linted_by_who_can_read_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["GlmMoeDsaForCausalLM"]}')
    words = ["--json", "--rig", "sm90x8", "--release", "vllm==0.33.0", "--config", str(tmp_path)]
    words += ["--", "vllm", "serve", "/w"]
    seen: list[Path] = []

    def read(folder: Path) -> CheckpointFiles:
        seen.append(folder)
        return CheckpointFiles(config={}, shards={"a.safetensors": Shard(0, problem="it is a web page")})

    assert main(words, read) == 1
    told = {f["id"]: f for f in json.loads(capsys.readouterr().out)["commands"][0]["findings"]}
    assert "web page" in told["checkpoint_shard_header"]["cause"] and seen == [tmp_path]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--rig", "sm9Ox8", "--", "vllm", "serve", "x"], "did you mean"),
        (["--gpus", "8x Voodoo", "--", "vllm", "serve", "x"], "expected a rig"),
        (["--gpus", "sm999x4", "--", "vllm", "serve", "x"], "valid: sm"),
        (["--rig", "sm90x0", "--", "vllm", "serve", "x"], "one GPU or more"),
        (["--gpus", "99999x H100", "--", "vllm", "serve", "x"], "expected a rig"),
        (["--gpus", "-4x H100", "--", "vllm", "serve", "x"], "expected a rig"),
        (["--gpus", "1.5x H100", "--", "vllm", "serve", "x"], "expected a rig"),
        (["--gpus", "H100 x99999", "--", "vllm", "serve", "x"], "expected a rig"),
        (["--gpus", "4x RTX PRO 6000 and 2x H100", "--", "vllm", "serve", "x"], "GPUs of one kind"),
        (["--gpus", "\x1b[31m4x H100", "--", "vllm", "serve", "x"], "expected a rig"),
        (["--release", "sglang", "--", "vllm", "serve", "x"], "expected ENGINE==VERSION"),
        (["--release", "sglang>=0.5", "--", "vllm", "serve", "x"], "expected ENGINE==VERSION"),
        (["--release", "sglang==0.5.17", "--", "vllm", "serve", "x"], "starts vllm"),
        (["--config", "/nowhere", "--", "vllm", "serve", "x"], "/nowhere"),
        (["--config", "zai-org/GLM-5.1", "--", "vllm", "serve", "x"], "published config of the name is used"),
        (["--config", "https://hub/zai-org/GLM-5.1", "--", "vllm", "serve", "x"], "'https://hub/zai-org/GLM-5.1'"),
        (["--installed", "x", "--", "vllm", "serve", "x"], "PACKAGE==VERSION"),
        (["--env", "x", "--", "vllm", "serve", "x"], "NAME=VALUE"),
        (["--", "python", "train.py"], "no engine is started"),
        (["--"], "expected a FILE"),
        ([], "expected a FILE"),
        (["/dev/zero"], "no plain file"),
        (["/"], "no plain file"),
    ],
)
def test_bad_usage_is_told_once(words: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    err = capsys.readouterr().err
    assert part in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"<!DOCTYPE html><html>Sign in</html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "it is a Git LFS pointer"),
        (b"\x1f\x8b\x08\x00", "it is gzip bytes"),
        (b'{"error": "Repository not found"}', "a server's answer and not the file: 'Repository not found'"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ('{"index_topk": 2048}'.encode("utf-16"), "UTF-16"),
    ],
)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json"])
def test_what_lies_there_instead_of_json_is_told_by_its_kind(
    name: str, content: bytes, part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).write_bytes(content)
    assert main(["--config", str(tmp_path), "--", "vllm", "serve", "x"]) == 2
    err = capsys.readouterr().err
    assert part in err
    assert f"{tmp_path / name}" in err


def test_a_pipe_that_does_not_end_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert main([str(tmp_path / "pipe")]) == 2
    assert "no plain file" in capsys.readouterr().err


FLAGS = sorted({flag for kind in read_kinds().values() for flag in kind.flags if flag.startswith("-")})
VALUES = [
    "8",
    "-1",
    "0",
    "auto",
    "fp8",
    "{}",
    '{"method": 3}',
    "[1]",
    "x" * 50,
    "",
    "$UNSET",
    "1e9",
    "0.9",
    "F",
    "--",
    "-",
]


@given(
    st.lists(st.one_of(st.sampled_from(FLAGS), st.sampled_from(VALUES)), max_size=12),
    st.sampled_from(["sglang", "vllm", "trtllm"]),
)
@settings(max_examples=60, deadline=None)
def test_no_words_raise(words: list[str], engine: str) -> None:
    release = {"sglang": "sglang==0.5.23", "vllm": "vllm==0.33.0", "trtllm": "trtllm==1.3.0rc26"}[engine]
    command = Command(engine=engine, entry=engine, argv=words_of(words))
    judged = judge_command(command, CheckRequest(release=parse_release(release), host=parse_rig("sm120x8")))
    assert judged.verdict in ("fine", "risky", "unknown", "wrong")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2000) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
KEYS = [
    "architectures",
    "num_hidden_layers",
    "num_attention_heads",
    "index_topk_pattern",
    "index_topk_freq",
    "indexer_types",
    "kv_lora_rank",
    "index_skip_topk_offset",
    "text_config",
    "quantization_config",
    "max_position_embeddings",
]
CONFIG = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6)


@given(CONFIG)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_config_raises(config: dict[str, Any]) -> None:
    for engine, release in (("sglang", "sglang==0.5.17"), ("vllm", "vllm==0.33.0")):
        command = Command(
            engine=engine,
            entry=engine,
            argv=words_of(["--model-path" if engine == "sglang" else "--model", "/w", "--pp-size", "2"]),
        )
        judge_command(command, CheckRequest(release=parse_release(release), host=parse_rig("sm90x8"), config=config))


def test_glm52_selects_in_21_of_78_layers() -> None:
    found = read_sharing({"num_hidden_layers": 78, "index_topk_freq": 4, "index_skip_topk_offset": 3})
    assert found is not None
    assert (found.full, len(found.shared)) == (21, 57)
    assert sorted(set(range(78)) - found.shared)[:6] == [0, 1, 2, 6, 10, 14]


@pytest.mark.parametrize(
    ("engine", "layers", "stages", "starts"),
    [
        ("sglang", 78, 2, (0, 39)),
        ("sglang", 79, 3, (0, 26, 52)),
        ("vllm", 79, 2, (0, 40)),
        ("vllm", 80, 3, (0, 27, 54)),
    ],
)
def test_stages_begin_where_the_engine_lets_them(
    engine: str, layers: int, stages: int, starts: tuple[int, ...]
) -> None:
    assert stage_starts(layers, stages, engine=engine) == starts
