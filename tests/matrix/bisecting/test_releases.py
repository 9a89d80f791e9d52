"""The range of a search: known releases in order, either way, and each wrong word named."""

from __future__ import annotations

import pytest

from matrix.bisecting.releases import list_between, list_known, place_cell, read_end, require_range
from matrix.errors import ConfigError
from matrix.upgrading.of_cells import find_cell
from matrix.yaml.load import load_matrix

KNOWN = ["0.5.10", "0.5.10.post1", "0.5.11", "0.5.12"]


def test_releases_come_from_snapshots_the_axes_and_the_command_line() -> None:
    known = list_known(load_matrix(), "sglang", ["0.5.21.post9"])
    assert known.index("0.5.21") + 1 == known.index("0.5.21.post9") == known.index("0.5.22") - 1
    assert known.index("0.5.9") < known.index("0.5.10rc0") < known.index("0.5.10")
    assert list_known(load_matrix(), "llamacpp") == ["2026.10.11549"]


@pytest.mark.parametrize(
    ("good", "bad", "between"),
    [
        ("0.5.10", "0.5.11", ("0.5.10", "0.5.10.post1", "0.5.11")),
        ("0.5.12", "0.5.10.post1", ("0.5.12", "0.5.11", "0.5.10.post1")),
    ],
    ids=["a regression", "since when it works"],
)
def test_the_range_goes_from_the_good_end_to_the_bad_one(good: str, bad: str, between: tuple[str, ...]) -> None:
    assert list_between(KNOWN, good, bad) == between


@pytest.mark.parametrize("text", ["sglang==0.5.10.post1", "0.5.10.post1", "v0.5.10.post1", "sglang==0.5.10-post1"])
def test_an_end_is_spelt_as_it_is_known(text: str) -> None:
    assert read_end(text, "--good", "sglang", KNOWN) == "0.5.10.post1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vllm==0.26.0", "vllm is another engine than sglang"),
        ("sglang==0.5.13", "no release 0.5.13 of SGLang is known"),
        ("sglang>=0.5.12", "expected ENGINE==VERSION"),
        ("sglng==0.5.12", "did you mean 'sglang'"),
    ],
)
def test_a_wrong_end_is_named(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_end(text, "--good", "sglang", KNOWN)


def test_a_range_of_one_release_and_a_word_that_is_no_version_are_refused() -> None:
    with pytest.raises(ConfigError, match="both ends are one release"):
        require_range("0.5.10", "0.5.10")
    with pytest.raises(ConfigError, match="no version"):
        list_known(load_matrix(), "sglang", ["newest"])


def test_a_cell_is_placed_on_a_release_of_the_axes_or_on_none() -> None:
    matrix = load_matrix()
    cell = find_cell(matrix, "sm120x4.sglang_0_5_17.glm51_478b_nvfp4.mtp")
    assert place_cell(matrix, cell, "0.5.17") is cell
    assert place_cell(matrix, cell, "0.5.23").id == "sm120x4.sglang_0_5_23.glm51_478b_nvfp4.mtp"
    assert place_cell(matrix, cell, "0.5.20").id == "sm120x4.sglang_0_5_20.glm51_478b_nvfp4.mtp"
    own = find_cell(matrix, "cpu.llamacpp_2026_10_11549.canary_bf16.baseline")
    assert place_cell(matrix, own, "2026.7.9873").id == "cpu.llamacpp_2026_7_9873.canary_bf16.baseline"
