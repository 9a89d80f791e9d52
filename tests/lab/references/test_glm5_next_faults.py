"""Every planted fault computes something else, and the derivation gives the flash canary's own answers."""

from __future__ import annotations

import numpy as np

from fixtures.banks import bank_for
from fixtures.weights.locate import find_weights
from lab.references.glm5_next import Glm5Next
from lab.references.glm5_next_faults import (
    CHECKPOINT,
    PackedRows,
    Prompt,
    Rounded,
    list_faults,
    read_trained,
    round_bf16,
)
from matrix.judging.kl import top_k_kl
from matrix.yaml.load import load_matrix

CHECKED = load_matrix().checkpoints[CHECKPOINT]
FLASH = find_weights(CHECKED)
CONFIG, TENSORS = read_trained(FLASH)


def make_prompt() -> Prompt:
    return Prompt.of(bank_for(CHECKED).facts(1)[0], FLASH)


def test_the_derivation_answers_as_the_bank_expects() -> None:
    prompt = make_prompt()
    logits = Glm5Next(CONFIG, TENSORS).logits([*prompt.ids, *prompt.said[:-1]], last=len(prompt.said))
    assert logits.argmax(-1).tolist() == list(prompt.said)


def test_rounding_moves_it_less_than_a_fault() -> None:
    prompt = make_prompt()
    exact, rounded, packed = (prompt.list_likeliest(of(CONFIG, TENSORS)) for of in (Glm5Next, Rounded, PackedRows))
    unscaled = next(f for f in list_faults(CONFIG) if f.name == "experts not scaled").plant(CONFIG, TENSORS)
    wrong = top_k_kl(exact, prompt.list_likeliest(unscaled)).mean
    assert 0 < 10 * top_k_kl(exact, rounded).mean < wrong
    assert 0 < 10 * top_k_kl(exact, packed).mean < wrong


def test_every_fault_changes_the_config_a_tensor_or_the_class() -> None:
    faults = list(list_faults(CONFIG))
    assert len({fault.name for fault in faults}) == len(faults) >= 22
    for fault in faults:
        model = fault.plant(CONFIG, TENSORS)
        changed = [name for name, tensor in model.tensors.items() if not np.array_equal(tensor, TENSORS[name])]
        assert model.config != CONFIG or changed or type(model) is not Glm5Next, fault.name


def test_bf16_is_the_nearest_with_ties_to_even() -> None:
    given = np.array([1.0, 1.0 + 2**-8, 1.0 + 3 * 2**-8, 1.0 + 2**-9, -3.14159])
    assert round_bf16(given).tolist() == [1.0, 1.0, 1.0 + 2**-6, 1.0, -3.140625]
