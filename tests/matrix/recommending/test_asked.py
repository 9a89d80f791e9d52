"""GPUs as people write them lead to a rig, to one that could be, or to what is known of the GPU."""

from __future__ import annotations

import pytest

from matrix.errors import ConfigError
from matrix.recommending.asked import find_gpus, find_rig
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()


@pytest.mark.parametrize(
    ("text", "rig"),
    [
        ("4x RTX PRO 6000", "sm120x4"),
        ("RTX PRO 6000 x4", "sm120x4"),
        ("4 NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "sm120x4"),
        ("8xH100 80GB", "sm90x8_h100"),
        ("5090", "sm120x1_rtx5090"),
        ("8 * H200", "sm90x8"),
        ("4x B200 180 GB", "sm100x4"),
        ("8x MI355X", "gfx950x8"),
        ("8 AMD Instinct MI300X 192GB", "gfx942x8"),
        ("2x DGX Spark", "sm121x2"),
        ("H200x8", "sm90x8"),
        ("RTX 5090x2", "sm120x2_rtx5090"),
        ("two H100", "sm90x2_h100"),
        ("Quad RTX PRO 6000", "sm120x4"),
        ("8\u00d7H200", "sm90x8"),
    ],
)
def test_a_rig_by_its_gpus(text: str, rig: str) -> None:
    asked = find_gpus(MATRIX, text)
    assert asked.rig is MATRIX.rigs[rig] and not asked.hypothetical


@pytest.mark.parametrize(
    ("text", "gpus", "step"), [("3 x B200", 3, "add rig --gpu b200_180gb --count 3"), ("8x H100 94GB", 8, "add-a-gpu")]
)
def test_a_rig_that_could_be(text: str, gpus: int, step: str) -> None:
    asked = find_gpus(MATRIX, text)
    assert asked.hypothetical and asked.rig is not None and asked.rig.gpus == gpus
    assert any(step in note for note in asked.notes)


@pytest.mark.parametrize(
    ("text", "told"), [("4090", "does not fit"), ("A100 40GB", "does not fit"), ("8x A100", "could fit")]
)
def test_a_gpu_without_a_rig_gets_arithmetic_and_no_recommendation(text: str, told: str) -> None:
    asked = find_gpus(MATRIX, text)
    assert asked.rig is None and any(told in note for note in asked.notes)


@pytest.mark.parametrize(("text", "sm"), [("8x A100", 80), ("8x L40S", 89), ("8x RTX 4090", 89), ("2x V100", 70)])
def test_a_gpu_before_hopper_has_no_sparse_kernels_and_the_facts_are_named(text: str, sm: int) -> None:
    asked = find_gpus(MATRIX, text)
    (note,) = (n for n in asked.notes if "sparse attention" in n)
    assert f"on SM{sm}" in note and "SM90, SM100, SM120" in note
    assert "sglang_no_dsa_below_sm90" in note and "vllm_no_dsa_below_sm90" in note


def test_machines_of_one_gpu_are_as_many_hosts() -> None:
    asked = find_gpus(MATRIX, "4x DGX Spark").rig
    assert asked is not None and "spans 4 hosts" in asked.attach_only
    eight = find_gpus(MATRIX, "3x B200").rig
    assert eight is not None and not eight.attach_only


def test_a_gpu_with_sparse_kernels_is_told_nothing_of_them() -> None:
    assert not any("sparse attention" in n for text in ("8x H800", "1x GH200") for n in find_gpus(MATRIX, text).notes)


@pytest.mark.parametrize(
    ("text", "memory_gib", "links"),
    [("8x H100 PCIe", 80, "pcie"), ("4x H200 NVL", 140, "pcie"), ("8x H100", 80, "nvlink")],
)
def test_a_card_of_a_known_chip_is_judged_with_its_own_numbers(text: str, memory_gib: int, links: str) -> None:
    rig = find_gpus(MATRIX, text).rig
    assert rig is not None and rig.gpu.interconnect == links and round(rig.gpu.vram_bytes / 2**30) == memory_gib
    assert rig.sm == 90 and (rig.gpu.memory_bandwidth_bytes_per_s < 3 * 10**12) is (text == "8x H100 PCIe")


@pytest.mark.parametrize(("text", "near"), [("RTX PRO 600", "RTX PRO 6000"), ("A1000", "A100"), ("0x H100", "H100")])
def test_words_that_name_no_gpu_get_the_nearest(text: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{near}'"):
        find_gpus(MATRIX, text)


@pytest.mark.parametrize("text", ["4x RTX 6000", "RTX 6000"])
def test_words_that_several_gpus_have_name_all_of_them(text: str) -> None:
    with pytest.raises(ConfigError, match="it may be 'RTX PRO 6000' or 'RTX 6000 Ada'"):
        find_gpus(MATRIX, text)


def test_no_word_at_all_is_no_gpu_and_the_option_is_named() -> None:
    with pytest.raises(ConfigError, match="--gpus '': expected"):
        find_gpus(MATRIX, "")


def test_a_rig_by_its_id() -> None:
    assert find_rig(MATRIX, "sm120x4").rig is MATRIX.rigs["sm120x4"]
    assert find_rig(MATRIX, "4x RTX PRO 6000").rig is MATRIX.rigs["sm120x4"]  # as people answer "which rig?"
    with pytest.raises(ConfigError, match="no rig '3x RTX PRO 6000'"):
        find_rig(MATRIX, "3x RTX PRO 6000")
    with pytest.raises(ConfigError, match="did you mean 'sm120x4'"):
        find_rig(MATRIX, "sm12x4")


def test_a_count_of_a_gpu_that_is_only_attached_to_names_the_rigs_of_it() -> None:
    asked = find_gpus(MATRIX, "4x MI355X")
    assert asked.rig is None and "gfx950x8 (8 x)" in asked.notes[0]
    with pytest.raises(ConfigError, match="8x MI999X"):
        find_gpus(MATRIX, "8x MI999X")
