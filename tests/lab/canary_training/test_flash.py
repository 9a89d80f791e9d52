"""The flash canary's training without a GPU: its module is the class that numpy derives, and keeps what it learned."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is needed only to train the canary")
pytest.importorskip("safetensors", reason="safetensors is needed only to train the canary")

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lab.canary_training.attention import Pass
from lab.canary_training.checkpoint import WEIGHTS
from lab.canary_training.flash import adopt
from lab.canary_training.flash.checkpoint import export_flash, fill_flash
from lab.canary_training.flash.delta import invert_unit_lower
from lab.canary_training.flash.model import FlashCanary
from lab.canary_training.flash.parts import RESULTS, join_parts, write_results
from lab.canary_training.flash.seeds import keep_best
from lab.canary_training.flash.sinkhorn import Sinkhorn
from lab.canary_training.flash.train import FlashSettings, train_flash
from lab.canary_training.flash_config import FLASH, FlashConfig, text_config
from lab.references.glm5_next import Glm5Next
from lab.references.glm5_next_toy import CONFIG, draw_ids, draw_weights, list_shapes

SMALL = FlashConfig(
    **{name: CONFIG[name] for name in FlashConfig.__slots__ if name in CONFIG}
    | {"layer_types": tuple(CONFIG["layer_types"])}
)


def make_toy() -> FlashCanary:
    model: FlashCanary = FlashCanary(SMALL).eval()
    fill_flash(model, {name: torch.from_numpy(values) for name, values in draw_weights(CONFIG).items()})
    return model


@pytest.mark.parametrize("topk", [16, 1024], ids=["four pools", "dense"])
def test_the_module_says_what_the_derivation_says(topk: int) -> None:
    wanted = Glm5Next({**CONFIG, "index_topk": topk}, draw_weights(CONFIG)).logits(draw_ids(CONFIG))
    model = make_toy()
    with torch.no_grad():
        hidden = model(torch.tensor([draw_ids(CONFIG)]), Pass(topk=topk), dtype=torch.float32)
        said = model.lm_head(hidden)[0].numpy()
    assert np.linalg.norm(said - wanted) < 5e-5 * np.linalg.norm(wanted)


def test_the_stored_names_are_those_of_the_derivation() -> None:
    shapes = {name: tuple(t.shape) for name, t in export_flash(FlashCanary()).items() if ".visual." not in name}
    about = text_config(FLASH, dict.fromkeys(("<|endoftext|>", "<|user|>", "<|observation|>"), 0))
    assert shapes == list_shapes(about)


def test_what_is_stored_comes_back() -> None:
    stored = export_flash(make_toy())
    other = FlashCanary(SMALL)
    fill_flash(other, stored)
    assert all(torch.equal(stored[name], tensor) for name, tensor in export_flash(other).items())


def test_a_lower_triangle_is_inverted_though_its_powers_would_overflow_all_precision() -> None:
    lower = torch.ones(1, 64, 64).tril(-1)  # the same key in each token: powers reach 1e18 before they vanish
    inverse = invert_unit_lower(lower)
    assert torch.allclose(inverse @ (lower + torch.eye(64)), torch.eye(64).expand(1, -1, -1), atol=1e-5)


def test_the_way_back_through_sinkhorn_is_that_of_autograd() -> None:
    plain = (torch.rand(5, 4, 4, dtype=torch.double) + 0.1).requires_grad_()
    own = plain.detach().clone().requires_grad_()
    slope = torch.randn(5, 4, 4, dtype=torch.double)
    matrix = plain / (plain.sum(-2, keepdim=True) + 1e-6)
    for _ in range(7):
        matrix = matrix / (matrix.sum(-1, keepdim=True) + 1e-6)
        matrix = matrix / (matrix.sum(-2, keepdim=True) + 1e-6)
    (matrix * slope).sum().backward()
    (Sinkhorn.apply(own, 1e-6, 8) * slope).sum().backward()
    assert own.grad is not None
    assert torch.allclose(own.grad, plain.grad)


def test_parts_join_to_the_weights_and_others_are_refused(tmp_path: Path) -> None:
    write_results(make_toy(), tmp_path, {})
    whole = join_parts(tmp_path)
    assert whole
    (tmp_path / "weights.0").write_bytes(whole[:-1] + b"x")
    with pytest.raises(ValueError, match="the parts have sha256"):
        join_parts(tmp_path)


def test_results_are_taken_into_the_checkout_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_results(make_toy(), tmp_path, {})
    monkeypatch.setattr(adopt, "FOLDER", tmp_path / "flash")
    assert adopt.main([str(tmp_path)]) == 0
    assert (tmp_path / "flash" / WEIGHTS).read_bytes() == join_parts(tmp_path)
    assert "Glm5NextForConditionalGeneration" in (tmp_path / "flash" / "config.json").read_text()


def test_of_several_seeds_the_one_with_the_best_exam_is_kept(tmp_path: Path) -> None:
    for seed, score in (("a", 0.2), ("b", 0.9), ("c", 0.5)):
        write_results(make_toy(), tmp_path / seed / "out", {"seed": seed, "score": score})
    said: list[str] = []
    keep_best([tmp_path / seed / "out" for seed in "abc"], tmp_path / "kept", said.append)
    assert json.loads((tmp_path / "kept" / RESULTS).read_text())["seed"] == "b"
    assert join_parts(tmp_path / "kept") and said[-1] == "kept b"


def train_small(folder: Path, said: list[str], seconds: float, training: float | None, exam_s: float) -> dict[str, Any]:
    words = FlashConfig(**{name: getattr(SMALL, name) for name in FlashConfig.__slots__} | {"vocab_size": 2048})
    settings = FlashSettings(
        out=folder / "out",
        work=folder / "work",
        seconds=seconds,
        training=training,
        config=words,
        tokens=512,
        longest=256,
        workers=0,
        device="cpu",
        n=1,
        exam_longest=256,
        exam_seconds=exam_s,
    )
    return train_flash(settings, said.append, time.monotonic())


def test_a_training_goes_on_where_a_call_has_stopped(tmp_path: Path) -> None:
    said: list[str] = []
    first = train_small(tmp_path, said, 3, 10, 0)
    second = train_small(tmp_path, said, 60, 10, 0)
    assert (first["is_over"], second["is_over"]) == (False, True)
    assert any(line.startswith("goes on at ") for line in said)
    before, after = first["steps"], second["steps"]
    assert after["trunk"] > before["trunk"] > 0 == before["indexers"] < after["indexers"]


def test_a_call_that_has_the_whole_training_holds_its_exam(tmp_path: Path) -> None:
    assert train_small(tmp_path, [], 22, None, 16)["exam"]
