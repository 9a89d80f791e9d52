"""`upgrade` as a command: cells and lines, exit codes, JSON, and bad input that is one error with the nearest word."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from matrix.errors import ConfigError
from matrix.preflight.snapshot import Flag
from matrix.upgrading.command import main
from matrix.upgrading.defaults import read_default
from matrix.upgrading.of_cells import find_cell
from matrix.yaml.load import load_matrix

CELL = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.indexcache"
LINE = ["--", "vllm", "serve", "zai-org/GLM-5.1-FP8", "-tp", "8"]
HOPPER = ["--rig", "sm90x8"]


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["--json", *words])
    [found] = json.loads(capsys.readouterr().out)["commands"]
    return code, found


def keys(found: dict[str, Any], danger: str) -> set[str]:
    return {n["key"] for n in found["news"] if n["danger"] == danger and n["applies"]}


def test_a_cell_brings_its_patch_its_libraries_and_its_rules(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = run_json(capsys, CELL, "--to", "0.5.17")
    assert (code, found["verdict"]) == (1, "stops")  # its launch installs the FlashInfer of 0.5.10.post1
    assert {"sglang_nsa_exclusion_v2", "nsa_exclusion_makes_indexcache_inert"} <= keys(found, "fixed")
    assert "flashinfer-python" in keys(found, "stops")
    [backend] = [n for n in found["news"] if n["key"].startswith("sparse backends")]
    assert backend["cause"] == "none (dense, by the launch's patch) -> flashinfer_sparse_mla."
    assert found["next"][0].startswith("glm-matrix show sm120x4.sglang_0_5_17.")


def test_a_patch_that_no_longer_fits_is_not_called_needless(capsys: pytest.CaptureFixture[str]) -> None:
    _, found = run_json(capsys, CELL, "--to", "0.5.12")
    assert "sglang_nsa_exclusion_v2" in keys(found, "stops")
    _, found = run_json(capsys, CELL, "--to", "0.5.10")  # it fits there too
    assert not {n["key"] for n in found["news"]} & {"sglang_nsa_exclusion_v2", "sparse backends (prefill, decode)"}


def test_a_downgrade_needs_the_patch_again(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = run_json(capsys, "sm120x4.sglang_0_5_17.glm51_478b_nvfp4.baseline", "--to", "0.5.10.post1")
    assert (code, found["direction"]) == (3, "downgrade")
    assert "sglang_nsa_exclusion_v2" in keys(found, "stops")


def test_what_was_not_read_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = run_json(capsys, "sm100x4.trtllm_1_3_0rc3.glm5_nvfp4_warnold.baseline", "--to", "1.3.0rc26")
    assert (code, found["verdict"]) == (3, "unknown")
    assert found["headline"].startswith("UNKNOWN: trtllm 1.3.0rc26 itself was not read")


def test_a_rig_of_two_words_makes_a_cell_too(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = run_json(capsys, "sm90x1_h100.sglang_0_5_17.canary_bf16.baseline", "--to", "0.5.20")
    assert (code, found["verdict"]) == (1, "stops")
    assert keys(found, "stops") == {"unknown_flag --disable-piecewise-cuda-graph"}


def test_every_feature_of_the_axis_is_found_in_an_id() -> None:
    """One of them begins with another's name (decode_context_parallel_4)."""
    matrix = load_matrix()
    base = "sm90x8.vllm_0_33_0.glm51_fp8"
    for names in [(name,) for name in matrix.features] + list(pairwise(sorted(matrix.features))):
        assert find_cell(matrix, f"{base}.{'_'.join(names)}").features == set(names)


@pytest.mark.parametrize("features", ["mtp_", "_mtp", "mtp_indexcache", "mtp_mtp", "decode_context_parallel_5"])
def test_no_other_spelling_is_a_set_of_features(features: str) -> None:
    with pytest.raises(ConfigError, match="no features are"):
        find_cell(load_matrix(), f"sm90x8.vllm_0_33_0.glm51_fp8.{features}")


def test_the_text_names_what_runs_today(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "launch.sh"
    script.write_text("docker run vllm/vllm-openai:v0.26.0 --model zai-org/GLM-5.1-FP8 \\\n  -tp 8 --swap-space 4\n")
    code, found = run_json(capsys, *HOPPER, "--to", "0.16.0", str(script))
    assert (found["before"], found["after"]) == ("vllm==0.26.0", "vllm==0.16.0")
    script.write_text("pip install vllm==0.26.0\nvllm serve zai-org/GLM-5.1-FP8 -tp 8\n")
    code, found = run_json(capsys, *HOPPER, "--to", "0.27.0", str(script))
    assert (code, found["before"]) == (0, "vllm==0.26.0")
    assert not {n["key"].split()[0] for n in found["news"]} & {"releases_disagree", "vllm"}
    script.write_text("vllm serve zai-org/GLM-5.1-FP8 \\\n  -tp 8 --swap-space 4\n")
    code, found = run_json(capsys, *HOPPER, "--from", "0.17.1", "--to", "0.18.0", str(script))
    assert code == 1
    assert [n["line"] for n in found["news"] if n["danger"] == "stops"] == [2]


def test_the_first_line_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*HOPPER, "--from", "0.26.0", "--to", "0.27.0", *LINE]) == 0
    assert capsys.readouterr().out.startswith("SAFE: ")
    assert main(["--from", "0.26.0", "--to", "0.27.0", *LINE]) == 0
    assert "its GPUs are not named" in " ".join(capsys.readouterr().out.split())
    assert main([*HOPPER, "--from", "0.27", "--to", "vllm==0.27.0", *LINE]) == 0  # one version, as PEP 440 has it
    assert capsys.readouterr().out.startswith("NOTHING CHANGES: both sides are vllm==0.27.0.")
    assert main([*HOPPER, "--from", "0.16.0", "--to", "0.33.0", "--all", *LINE, "--swap-space", "4"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("WILL NOT START: --swap-space ")
    assert main([*HOPPER, "--from", "0.16.0", "--to", "0.26.0", *LINE, "--disable-log-requests"]) == 1
    ended = capsys.readouterr().out.partition("\nENDS\n")[2]
    assert "transformers" in ended and "--disable-log-requests" not in ended  # what was deprecated only went
    assert out.index("DOES NOT START") < out.index("OTHER DEFAULTS") < out.index("CANNOT APPLY")
    assert max(map(len, out.splitlines())) <= 130


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([CELL, "--to", "0.5.99"], "no snapshot of SGLang 0.5.99; did you mean '0.5.9'?; there are 0.5.9 to 0.5.23"),
        ([CELL, "--to", "vllm==0.33.0"], "vllm is another engine than sglang"),
        ([CELL, "--to", "vlm==0.33.0"], "no engine is called 'vlm'; did you mean 'vllm'?"),
        ([CELL, "--from", "0.5.17", "--to", "0.5.23"], "the cell is one of sglang==0.5.10.post1"),
        ([CELL, "--to", "0.5.17", "--rig", "sm90x8"], "a cell names its GPUs"),
        # read and on no axis: most releases between two of the axes
        (["sm90x8.vllm_0_30_0.glm5_fp8.baseline", "--to", "0.33.0"], "--from vllm==0.30.0 --to RELEASE -- COMMAND"),
        ([CELL.replace("x4", "x5"), "--to", "0.5.17"], "no rig is called 'sm120x5'; did you mean 'sm120x"),
        ([CELL.replace("478", "479"), "--to", "0.5.17"], "did you mean 'glm51_478b_nvfp4'?"),
        ([f"{CELL}s", "--to", "0.5.17"], "no features are 'indexcaches'; did you mean 'indexcache'?"),
        ([CELL.rpartition(".")[0], "--to", "0.5.17"], "expected RIG.RELEASE.CHECKPOINT.FEATURES"),
        (["--to", "0.33.0", *LINE], "nothing says which release runs today"),
        (["--from", "sglang==0.5.17", "--to", "0.33.0", *LINE], "sglang is another engine than vllm"),
        (["--from", "0.26.7", "--to", "0.33.0", *LINE], "no snapshot of vLLM 0.26.7; did you mean"),
        (["--from", "0.28.0", "--to", "0.33.0", "--", "docker", "run", "vllm/vllm-openai:v0.26.0"], "neither side"),
        (["--from", "0.28.0", "--to", "0.33.0", "--", "ls"], "no engine is started here"),
        (["--from", "x", "--to", "0.33.0", *LINE], "expected ENGINE==VERSION"),
        (["--from", "0.28.0", "--to", "0.33.0", "no_such.sh"], "No such file or directory"),
        (["--from", "0.28.0", "--to", "0.33.0"], "expected a FILE"),
    ],
)
def test_bad_input_is_one_error(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert (said.out, said.err.count("\n")) == ("", 2)


@pytest.mark.parametrize(
    ("action", "text", "value"),
    [
        ("store_true", "", "False"),
        ("store_true", "False", "False"),
        ("store_false", "", "True"),
        ("store", "", "None"),
        ("store", "None", "None"),
        ("store", "argparse.SUPPRESS", "None"),
        ("store", "'auto'", "auto"),
        ("store", "0.9", "0.9"),
        ("store", "1_000", "1000"),
        ("store", "list()", "[]"),
        ("store", "dict()", "{}"),
        ("store", "_declared('x')", None),
        ("store", "ServerArgs.x", None),
        ("store", "10 * 1000", None),
        ("store", "kwargs['x']['default']", None),
    ],
)
def test_a_default_is_compared_in_one_spelling(action: str, text: str, value: str | None) -> None:
    assert read_default(Flag(options=("--x",), dest="x", action=action, default=text)) == value
