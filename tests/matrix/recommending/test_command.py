"""`glm-matrix recommend`: one answer for each rig asked, exit codes, and no traceback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from matrix.recommending.command import HostSurroundings, main
from matrix.recommending.owned import Owned
from matrix.recommending.ran import LastRun
from matrix.yaml.loaded import Matrix


def no_runs() -> Mapping[str, LastRun]:
    return {}


def owned(_: Matrix, folder: Path) -> Owned:
    return Owned(same=("glm51_555b_nvfp4",), notes=(f"{folder.name} is glm51_555b_nvfp4.",))


def around(*rigs: str) -> HostSurroundings:
    return HostSurroundings(
        host_rigs=lambda: (list(rigs), "a host"), recognise=owned, own_runs=no_runs, certified=lambda _: {}
    )


def test_this_host_is_asked_when_nothing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], around("cpu", "sm120x1_rtx5090")) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("sm120x1_rtx5090: 1 x") and "this host: a host" in shown


def test_a_host_without_gpus_is_shown_the_way_to_ask_for_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], around("cpu")) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("cpu: any CPU\n") and 'glm-matrix recommend --gpus "4x RTX PRO 6000"' in shown


def test_a_directory_narrows_the_answer_and_stands_in_the_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["--gpus", "4x RTX PRO 6000", "--have", str(tmp_path), "--json"], around()) == 0
    said = json.loads(capsys.readouterr().out)
    assert {one["cell"].split(".")[2] for one in said["launches"]} == {"glm51_555b_nvfp4"}
    assert all(f"MODEL={tmp_path}" in one["next"] for one in said["launches"])


@pytest.mark.parametrize(
    ("words", "code"), [(["--gpus", "4090"], 1), (["--rig", "sm12x4"], 2), (["--gpus", "2x B200", "--json"], 0)]
)
def test_exit_codes(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words, around()) == code
    assert capsys.readouterr().out or code == 2


def test_a_launch_in_an_image_of_a_tag_alone_says_what_to_record_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rig", "sm120x8"], around()) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "image no digest of voipmonitor/vllm:" in shown and "glm-matrix image pin vllm_fork_003 next " in shown
    assert main(["--rig", "sm120x8", "--json"], around()) == 0
    said = {one["cell"].split(".")[1]: one["image"] for one in json.loads(capsys.readouterr().out)["launches"]}
    assert "glm-matrix image pin vllm_fork_003" in said["vllm_fork_003"]
    assert said["sglang_fork_003"] == said["sglang_0_5_10_post1"] == ""  # a digest of its own; no image at all
