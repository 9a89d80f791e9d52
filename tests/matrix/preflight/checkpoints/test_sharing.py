"""Selection by the config, in each spelling, against the layers that hold an indexer."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.preflight.checkpoints.sharing import count_full_layers, select_layers
from tests.matrix.preflight.checkpoints.builders import LAYERS, SHARED_FROM_5_2, said, says, sound, weights, without

TYPES = ["shared" if layer in SHARED_FROM_5_2 else "full" for layer in range(LAYERS)]
PATTERN = "".join(word[0].upper() for word in TYPES)
SPELLINGS: list[dict[str, Any]] = [
    {"indexer_types": TYPES},
    {"index_topk_pattern": PATTERN},
    {"index_topk_pattern": f"{PATTERN}F"},
    {"index_topk_freq": 4, "index_skip_topk_offset": 3},
    {"indexer_types": TYPES, "index_topk_freq": 4, "index_skip_topk_offset": 3},
]
SHARING = weights(without_indexer=SHARED_FROM_5_2)


def test_the_sound_checkpoint_is_quiet() -> None:
    assert said(sound()) == []


@pytest.mark.parametrize("spelling", SPELLINGS, ids="+".join)
def test_a_spelling_that_fits_the_weights_is_quiet(spelling: dict[str, Any]) -> None:
    assert said(sound(SHARING, **spelling)) == []


@pytest.mark.parametrize("spelling", SPELLINGS, ids="+".join)
def test_a_spelling_inside_text_config_counts(spelling: dict[str, Any]) -> None:
    nested = {"num_hidden_layers": LAYERS, **spelling}
    assert said(sound(SHARING, text_config=nested)) == []


@pytest.mark.parametrize("spelling", SPELLINGS, ids="+".join)
def test_indexers_that_nothing_uses_are_a_note_with_what_each_release_does(spelling: dict[str, Any]) -> None:
    found = sound(**spelling)
    assert said(found, "error", "warning") == []
    assert says(found, "note", "indexer_unused", "layers 3-5, 7", "0.33.0.*KeyError", "0.26.0")


@pytest.mark.parametrize(
    "spelling",
    [{"indexer_types": ["full"] * LAYERS}, {"index_topk_pattern": "F" * LAYERS}, {"index_topk_freq": 1}],
    ids="+".join,
)
def test_full_layers_without_weights_are_an_error(spelling: dict[str, Any]) -> None:
    assert says(sound(SHARING, **spelling), "error", "indexer", "indexer", "layers 3-5, 7", "full", "tensors")


def test_weights_that_share_under_a_config_that_does_not_say_so_are_an_error() -> None:
    assert says(sound(SHARING), "error", "indexer", "layers 3-5, 7", "indexer_types", "pattern", "freq")


def test_only_the_layers_that_lack_it_are_named() -> None:
    one_short = weights(without_indexer={*SHARED_FROM_5_2, 6})
    found = sound(one_short, indexer_types=TYPES)
    assert says(found, "error", "indexer", "makes layer 6 full")


def test_no_indexer_anywhere_is_said_once() -> None:
    found = said(sound(weights(without_indexer=range(LAYERS + 1))), "error")
    assert len(found) == 1
    assert "no layer holds indexer weights" in found[0]


def test_the_mtp_layer_needs_one_whatever_the_config_says() -> None:
    found = sound(weights(without_indexer={LAYERS, *SHARED_FROM_5_2}), index_topk_pattern=f"{PATTERN}S")
    assert says(found, "error", "indexer", "MTP layer 8", "full")


def test_an_indexer_with_a_part_missing_is_an_error() -> None:
    assert says(sound(without(weights(), r"layers\.2\..*indexer\.wq_b")), "error", "indexer", "layer 2", "wq_b")


DISAGREE: list[dict[str, Any]] = [
    {"indexer_types": TYPES, "index_topk_pattern": "FFFFSSFS"},
    {"index_topk_pattern": PATTERN, "index_topk_freq": 4, "index_skip_topk_offset": 2},
    {"indexer_types": TYPES, "index_topk_freq": 2, "index_skip_topk_offset": 3},
]


@pytest.mark.parametrize("spelling", DISAGREE, ids="+".join)
def test_two_spellings_that_differ_are_an_error(spelling: dict[str, Any]) -> None:
    assert says(sound(SHARING, **spelling), "error", "selection", "disagree", "layers? \\d")


def test_flat_and_nested_selection_that_differ_are_an_error() -> None:
    nested = {"num_hidden_layers": LAYERS, "indexer_types": TYPES}
    found = sound(SHARING, indexer_types=["full"] * LAYERS, text_config=nested)
    assert says(found, "error", "spelling", "indexer_types twice")


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"index_topk_pattern": "FSF"}, "3 letters for 8 layers"),
    ({"index_topk_pattern": "SFFSSSFS"}, "first layer"),
    ({"index_topk_pattern": PATTERN.lower()}, "only F and S"),
    ({"index_topk_pattern": list(PATTERN)}, "expected text"),
    ({"index_topk_pattern": ""}, "0 letters"),
    ({"indexer_types": TYPES[:3]}, "3 entries for 8 layers"),
    ({"indexer_types": ["shared", *TYPES[1:]]}, "first layer"),
    ({"indexer_types": [*TYPES[:7], "share"]}, "did you mean 'shared'"),
    ({"indexer_types": "FFFSSSFS"}, "expected a list"),
    ({"indexer_types": [["full"]] * LAYERS}, "only 'full' and 'shared'"),
    ({"index_topk_freq": 0}, "count from 1"),
    ({"index_topk_freq": "4"}, "count from 1"),
    ({"index_topk_freq": 4, "index_skip_topk_offset": -1}, "offset"),
    ({"index_topk_freq": 4, "index_skip_topk_offset": 0}, "first layer share"),
]


@pytest.mark.parametrize(("spelling", "words"), MALFORMED, ids=[w for _, w in MALFORMED])
def test_a_malformed_spelling_is_an_error(spelling: dict[str, Any], words: str) -> None:
    assert says(sound(**spelling), "error", "pattern", words)


def test_the_layers_of_glm_5_2_are_those_of_its_released_config() -> None:
    (stated,) = select_layers({"index_topk_freq": 4, "index_skip_topk_offset": 3}, 78)
    full = [layer for layer, letter in enumerate(stated.letters) if letter == "F"]
    assert full == [0, 1, 2, *range(6, 78, 4)]
    assert count_full_layers({"index_topk_freq": 4, "index_skip_topk_offset": 3}, 78) == 21
    assert count_full_layers({}, 78) == 78


def test_the_offset_that_is_left_out_is_two() -> None:
    assert select_layers({"index_topk_freq": 4}, 8) == select_layers(
        {"index_topk_freq": 4, "index_skip_topk_offset": 2}, 8
    )


def test_a_class_without_indexer_over_weights_that_have_one_is_a_warning() -> None:
    found = sound(architectures=["DeepseekV3ForCausalLM"], indexer_rope_interleave=None)
    assert says(found, "warning", "indexer", "has no indexer")


def test_deepseek_v3_2_is_judged_as_sparse() -> None:
    config: dict[str, Any] = {"architectures": ["DeepseekV32ForCausalLM"], "indexer_rope_interleave": None}
    assert said(sound(**config), "error") == []
    assert says(sound(weights(without_indexer={3}), **config), "error", "indexer", "layer 3")


def test_layers_of_linear_attention_have_nothing_to_select() -> None:
    held = weights(without_indexer={1, 2, 3})
    for layer in (1, 2, 3):
        held[f"model.layers.{layer}.self_attn.A_log"] = ("F32", (2,))
    found = sound(held, architectures=["Glm5NextForConditionalGeneration"])
    assert not [s for s in said(found) if " indexer:" in s]
    types = ["linear_attention" if layer in (1, 2, 3) else "full_attention" for layer in range(LAYERS)]
    found = sound(
        weights(without_indexer={1, 2, 3}), architectures=["Glm5NextForConditionalGeneration"], layer_types=types
    )
    assert not [s for s in said(found) if " indexer:" in s]
