"""The derivation of GLM-5.3-Flash's class says what transformers says, and each of its mechanisms matters to that."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fixtures.canary.checkpoint import CheckpointDirectory
from fixtures.weights.locate import find_weights
from lab.references.glm5_next import TOWER, Glm5Next
from lab.references.glm5_next_faults import CHECKPOINT, TAPS, UNLOADED, WithoutTail, read_prompts, read_trained
from lab.references.glm5_next_toy import CONFIG, draw_ids, draw_weights
from matrix.checkout import CHECKOUT
from matrix.yaml.load import load_matrix

FLASH = CHECKOUT / "fixtures" / "canary" / "flash"
RECORDED = json.loads(Path(__file__).with_name("glm5_next_logits.json").read_text(encoding="utf-8"))
TOLERANCE = 5e-5  # of the logits' norm; transformers' float32 is 5e-6 away
Tensors = dict[str, npt.NDArray[Any]]


def say(config: Mapping[str, Any], tensors: Tensors) -> float:
    """Return the distance from what transformers said, relative to its norm."""
    wanted = np.array(RECORDED["logits"])
    logits = Glm5Next(config, tensors).logits(draw_ids(CONFIG))
    return float(np.linalg.norm(logits - wanted) / np.linalg.norm(wanted))


def test_the_derivation_says_what_transformers_says() -> None:
    assert say(CONFIG, dict(draw_weights(CONFIG))) < TOLERANCE


def compare_trained(damage: str = "") -> tuple[float, bool]:
    """Return the trained canary's distance from what transformers said, and whether every likeliest token is its."""
    stored = CheckpointDirectory(FLASH)
    tensors = {name: tensor.float32() for name, tensor in stored.tensors.items()}
    if damage:
        tensors[TOWER + damage] = np.zeros_like(tensors[TOWER + damage])
    recorded = json.loads(Path(__file__).with_name("canary_flash_logits.json").read_text(encoding="utf-8"))
    wanted = np.array(recorded["logits"])
    config = {**stored.config["text_config"], "index_topk": recorded["index_topk"]}
    said = Glm5Next(config, tensors).logits(recorded["ids"])[-len(wanted) :]
    distance = np.linalg.norm(said - wanted) / np.linalg.norm(wanted)
    return float(distance), bool((said.argmax(-1) == wanted.argmax(-1)).all())


def test_of_the_trained_canary_it_says_what_transformers_says() -> None:
    distance, same = compare_trained()
    assert distance < TOLERANCE
    assert same


def test_of_the_trained_canary_it_notices_an_indexer_that_is_not_loaded() -> None:
    assert compare_trained("layers.1.self_attn.indexer.wq_b.weight")[0] > 20 * TOLERANCE


@pytest.mark.slow
@pytest.mark.skipif("DERIVE_REFERENCES" not in os.environ, reason="a minute of a core; DERIVE_REFERENCES=1 asks for it")
@pytest.mark.parametrize("number", [0, 1], ids=["within index_topk", "beyond"])
def test_it_says_what_the_suites_references_say(number: int) -> None:
    """What engines are held to: recorded by transformers, derived here."""
    folder = find_weights(load_matrix().checkpoints[CHECKPOINT])
    told = read_prompts(folder)[number].compare(Glm5Next(*read_trained(folder)))
    assert told.positions == 15 and not told.parted
    assert told.mean < 1e-10, "recorded with seven digits, it was 4e-14 away"


def test_the_trained_canary_is_the_one_that_its_card_tells_of() -> None:
    card = (FLASH / "CARD.md").read_text(encoding="utf-8")
    assert CheckpointDirectory(FLASH).weights_sha256() in card


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        pytest.param("hc_sinkhorn_iters", 1, id="streams are mixed by a matrix that is not doubly stochastic"),
        pytest.param("swiglu_limit", 10.0, id="no feed-forward layer is clamped"),
        pytest.param("linear_lower_bound", -4.0, id="a state decays more slowly"),
        pytest.param("index_topk", 1024, id="attention is dense"),
        pytest.param("index_topk", 12, id="a pool too few is chosen"),
        pytest.param("num_experts_per_tok", 3, id="an expert too many is chosen"),
        pytest.param("routed_scaling_factor", 1.0, id="experts are not scaled"),
    ],
)
def test_it_notices_another_setting(setting: str, value: float) -> None:
    assert say({**CONFIG, setting: value}, dict(draw_weights(CONFIG))) > 20 * TOLERANCE


@pytest.mark.parametrize("name", UNLOADED)
def test_it_notices_a_tensor_that_is_not_loaded(name: str) -> None:
    tensors: Tensors = dict(draw_weights(CONFIG))
    tensors[TOWER + name] = np.zeros_like(tensors[TOWER + name])
    assert say(CONFIG, tensors) > 20 * TOLERANCE


def test_it_notices_taps_in_the_other_order() -> None:
    tensors: Tensors = dict(draw_weights(CONFIG))
    name = TOWER + TAPS
    tensors[name] = tensors[name][..., ::-1]
    assert say(CONFIG, tensors) > 20 * TOLERANCE


def test_it_notices_that_the_incomplete_pool_is_left_out() -> None:
    wanted = np.array(RECORDED["logits"])
    logits = WithoutTail(CONFIG, draw_weights(CONFIG)).logits(draw_ids(CONFIG))
    assert np.linalg.norm(logits - wanted) > 20 * TOLERANCE * np.linalg.norm(wanted)
