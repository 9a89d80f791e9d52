"""Store parameters under the names of the GLM-5 release: one tensor per expert, the MTP layer after the last trunk
layer."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from fixtures.canary.checkpoint import CheckpointDirectory
from fixtures.canary.derive.quantise import dequantise
from lab.canary_training.config import config_json, generation_json, read_config
from lab.canary_training.layers import MoE
from lab.canary_training.model import Canary, Layer
from lab.canary_training.options import HF

WEIGHTS = "model.safetensors"
MADE_BY_HAND = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
FUSED = {"all_gate": "gate_proj", "all_up": "up_proj", "all_down": "down_proj"}


def load_tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(HF / "tokenizer.json"))


def export_tensors(model: Canary) -> dict[str, Tensor]:
    """Return bf16 tensors, except the router's correction bias, which engines keep in fp32."""
    named = {
        "model.embed_tokens.weight": model.embed_tokens.weight,
        "model.norm.weight": model.norm.weight,
        "lm_head.weight": model.lm_head.weight,
    }
    for prefix, layer in _iterate_layers(model):
        for name, value in layer.state_dict().items():
            named |= {prefix + key: part for key, part in split_experts(name, value, layer.mlp)}
    return {name: _as_stored(name, value) for name, value in named.items()}


def read_model(folder: Path) -> Canary:
    """Return the model of any member of the family, with its own number of experts, dequantised."""
    model = Canary(read_config(folder))
    stored = dequantise(CheckpointDirectory(folder))
    _fill_model(model, {name: torch.from_numpy(values.copy()) for name, values in stored.items()})
    return model


def load_weights(model: Canary, path: Path) -> None:
    """Invert `export_tensors`."""
    _fill_model(model, load_file(path))


def _fill_model(model: Canary, stored: Mapping[str, Tensor]) -> None:
    top = {"embed_tokens": "model.embed_tokens", "norm": "model.norm", "lm_head": "lm_head"}
    with torch.no_grad():
        for own, name in top.items():
            model.get_submodule(own).weight.copy_(stored[f"{name}.weight"])
        for prefix, layer in _iterate_layers(model):
            for name, value in layer.state_dict().items():
                parts = [stored[prefix + key] for key, _ in split_experts(name, value, layer.mlp)]
                # one matrix for all experts, along the axis that forward() splits
                value.copy_(torch.cat(parts, dim=_expert_axis(name)) if len(parts) > 1 else parts[0])


def save_checkpoint(model: Canary, folder: Path) -> str:
    """Write a directory that engines can serve; return the sha256 of the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    # transformers refuses a file without the format in its metadata
    save_file(export_tensors(model), folder / WEIGHTS, metadata={"format": "pt"})
    # written over the committed checkpoint the inputs are the outputs, and copyfile refuses that
    if folder.resolve() != HF.resolve():
        for name in MADE_BY_HAND:
            shutil.copyfile(HF / name, folder / name)
    ids = load_tokenizer().get_vocab(with_added_tokens=True)
    _write_json(folder / "config.json", config_json(model.config, ids))
    _write_json(folder / "generation_config.json", generation_json(ids))
    names = sorted([WEIGHTS, "config.json", "generation_config.json", *MADE_BY_HAND])
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / "SHA256SUMS").write_text("".join(f"{value}  {name}\n" for name, value in sums.items()))
    return sums[WEIGHTS]


def _iterate_layers(model: Canary) -> Iterator[tuple[str, Layer]]:
    for i, layer in enumerate([*model.layers, model.mtp]):
        yield f"model.layers.{i}.", layer


def _expert_axis(name: str) -> int:
    return 1 if "all_down" in name else 0


def split_experts(name: str, value: Tensor, mlp: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Split `mlp.all_gate.weight` into sixteen `mlp.experts.E.gate_proj.weight`; keep other names."""
    fused = name.split(".")[1] if name.startswith("mlp.all_") else ""
    if not fused or not isinstance(mlp, MoE):
        yield name, value
        return
    parts = value.chunk(mlp.config.n_routed_experts, dim=_expert_axis(name))
    for expert, part in enumerate(parts):
        yield f"mlp.experts.{expert}.{FUSED[fused]}.weight", part


def _as_stored(name: str, value: Tensor) -> Tensor:
    dtype = torch.float32 if name.endswith("e_score_correction_bias") else torch.bfloat16
    return value.detach().to("cpu", dtype).contiguous()


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
