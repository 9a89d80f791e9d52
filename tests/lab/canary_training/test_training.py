"""The training code without a GPU: samples are reproducible, and the module reads and writes the checkpoint."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is needed only to train the canary")
pytest.importorskip("safetensors", reason="safetensors is needed only to train the canary")

import re
from pathlib import Path

import torch

from fixtures.banks import canary as bank
from fixtures.canary.checkpoint import read_safetensors
from fixtures.canary.family import MEMBERS, ensure_member, make_member
from lab.canary_training import saliency, trunk
from lab.canary_training.attention import Pass
from lab.canary_training.checkpoint import WEIGHTS, export_tensors, load_weights, read_model
from lab.canary_training.evaluate import make_sample
from lab.canary_training.heal import write_delta
from lab.canary_training.model import Canary
from lab.canary_training.options import HF
from lab.canary_training.samples import REPLY, TRUNK_PLAN, Batches
from matrix.model import Derived


@pytest.fixture(scope="module")
def trained() -> Canary:
    model = Canary()
    load_weights(model, HF / WEIGHTS)
    return model.eval()


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    first, second = (Batches("test", 10, TRUNK_PLAN, tokens=512, longest=256) for _ in range(2))
    for a, b in zip(first[3], second[3], strict=True):
        assert torch.equal(a, b)


def test_replies_are_learned_and_padding_is_not() -> None:
    ids, weights = Batches("test", 10, TRUNK_PLAN, tokens=1024, longest=256)[0]
    assert (weights == REPLY).any(dim=1).all()
    assert (weights[ids == 0] <= REPLY).all()


def test_export_gives_back_the_tensors_that_were_loaded(trained: Canary) -> None:
    from safetensors.torch import load_file

    stored, again = load_file(HF / WEIGHTS), export_tensors(trained)
    assert stored.keys() == again.keys()
    assert all(torch.equal(stored[name], again[name]) for name in stored)


def test_sparse_attention_that_selects_everything_equals_dense(trained: Canary) -> None:
    ids = torch.tensor([make_sample(bank.recall(1, 1)[0]).prompt])
    with torch.no_grad():
        dense = trained(ids, dtype=torch.float32)
        sparse = trained(ids, Pass(topk=ids.shape[1]), dtype=torch.float32)
    assert torch.allclose(dense, sparse, atol=1e-4)


# Relative error of the logits: over eight items 0.017 to 0.039, 0.041 to 0.057 and 0.054 to 0.066 were measured.
@pytest.mark.parametrize(("name", "limit"), [("fp8", 0.05), ("nvfp4", 0.07), ("w4a16", 0.08)])
def test_a_quantised_member_is_read_dequantised_and_answers_alike(trained: Canary, name: Derived, limit: float) -> None:
    member = read_model(ensure_member(MEMBERS[name])).eval()
    drawn = make_sample(bank.chat(1, 1)[0])
    ids = torch.tensor([drawn.prompt + drawn.reply])
    with torch.no_grad():
        theirs = trained.lm_head(trained(ids, dtype=torch.float32))
        ours = member.lm_head(member(ids, dtype=torch.float32))
    error = ((theirs - ours).norm() / theirs.norm()).item()
    assert 0 < error < limit
    said = slice(len(drawn.prompt) - 1, -1)
    assert torch.equal(ours[0, said].argmax(-1), ids[0, len(drawn.prompt) :])


def test_a_pruned_member_has_its_own_number_of_experts(tmp_path: Path) -> None:
    make_member(MEMBERS["reap160"].unhealed(), tmp_path / "pruned")
    assert read_model(tmp_path / "pruned").config.n_routed_experts == 10


def test_healing_trains_routers_and_experts_only() -> None:
    model = Canary()
    settings = trunk.TrunkSettings(steps=1, learning_rate=1e-3, moe_only=True, mtp_share=0.1)
    trunk._select_trainable(model, settings)
    learning = {re.sub(r"\d+", "N", name) for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {
        f"{layer}.mlp.{part}.weight"
        for layer in ("layers.N", "mtp")
        for part in (
            "gate",
            "all_gate",
            "all_up",
            "all_down",
            "shared_experts.gate_proj",
            "shared_experts.up_proj",
            "shared_experts.down_proj",
        )
    }
    assert not any(p.requires_grad for p in model.layers[0].parameters())  # dense


def test_training_stops_when_its_seconds_are_over(tmp_path: Path) -> None:
    said: list[str] = []
    settings = trunk.TrunkSettings(
        steps=5, learning_rate=1e-3, moe_only=True, seconds=1e-9, tokens=64, longest=256, workers=0, device="cpu"
    )
    trunk.train_trunk(Canary(), settings, tmp_path, said.append)
    assert said == ["trunk stops at 0 of 5 steps: its 0 s are over"]


def test_a_delta_holds_what_changed_and_nothing_but_feed_forward(tmp_path: Path) -> None:
    before = {"a.mlp.gate.weight": torch.zeros(2), "b.mlp.gate.weight": torch.zeros(2), "c.norm.weight": torch.zeros(2)}
    after = before | {"b.mlp.gate.weight": torch.ones(2)}
    file = write_delta(before, after, tmp_path / "delta.safetensors", lambda _: None)
    assert list(read_safetensors(file)) == ["b.mlp.gate.weight"]
    with pytest.raises(AssertionError, match=r"c\.norm"):
        write_delta(before, before | {"c.norm.weight": torch.ones(2)}, file, lambda _: None)


def test_saliency_is_the_gate_times_the_norm_of_the_experts_output(trained: Canary) -> None:
    meter = saliency._Meter(16)
    moe = trained.layers[1].mlp
    x = torch.randn(1, 3, 256, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        meter(moe, (x,))
        gates = moe.gates(x)[0]
        for expert in range(16):
            alone = torch.zeros_like(moe.all_down.weight)
            part = slice(expert * 128, (expert + 1) * 128)
            alone[:, part] = moe.all_down.weight[:, part]
            inner = torch.nn.functional.silu(moe.all_gate(x)) * moe.all_up(x)
            norms = torch.nn.functional.linear(inner, alone)[0].norm(dim=-1)
            routed = gates[:, expert] > 0
            assert meter.tokens[expert] == routed.sum()
            assert meter.total[expert].item() == pytest.approx((gates[:, expert] * norms).sum().item(), rel=1e-4)
