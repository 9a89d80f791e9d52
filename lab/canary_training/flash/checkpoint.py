"""Store the flash canary under the names of the GLM-5.3-Flash release, and read it back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from fixtures.canary.checkpoint import CheckpointDirectory
from lab.canary_training.checkpoint import split_experts
from lab.canary_training.flash.model import FlashCanary, FlashLayer
from lab.canary_training.flash_config import VISION, FlashConfig

TOWER = "model.language_model."
# what transformers and the engines keep in fp32, however the checkpoint stores it
IN_FP32 = ("e_score_correction_bias", "dt_bias", "A_log", "_base", "_scale")
STREAMS = {f"{part}_hc.{own}": f"hc_{part}_{own}" for part in ("attn", "ffn") for own in ("fn", "base", "scale")}


def export_flash(model: FlashCanary) -> dict[str, Tensor]:
    """Return the tensors as stored: bf16, but for those that engines keep in fp32."""
    named = {
        f"{TOWER}embed_tokens.weight": model.embed_tokens.weight,
        f"{TOWER}norm.weight": model.norm.weight,
        "lm_head.weight": model.lm_head.weight,
    }
    for prefix, layer in _iterate_layers(model):
        for name, value in layer.state_dict().items():
            named |= {prefix + key: part for key, part in _split_parts(name, value, layer)}
    stored = {name: _as_stored(name, value) for name, value in named.items()}
    return stored | make_image_tower(model.config.hidden_size)


def read_flash(folder: Path) -> FlashCanary:
    """Return the model of a checkpoint directory."""
    stored = json.loads((folder / "config.json").read_text())["text_config"]
    values = {name: stored[name] for name in FlashConfig.__slots__}
    model = FlashCanary(FlashConfig(**values | {"layer_types": tuple(values["layer_types"])}))
    tensors = CheckpointDirectory(folder).tensors
    fill_flash(model, {name: torch.from_numpy(tensor.float32().copy()) for name, tensor in tensors.items()})
    return model


def fill_flash(model: FlashCanary, stored: Mapping[str, Tensor]) -> None:
    """Invert `export_flash`."""
    with torch.no_grad():
        for own, name in (("embed_tokens", TOWER + "embed_tokens"), ("norm", TOWER + "norm"), ("lm_head", "lm_head")):
            model.get_submodule(own).weight.copy_(stored[f"{name}.weight"])
        for prefix, layer in _iterate_layers(model):
            for name, value in layer.state_dict().items():
                parts = [stored[prefix + key] for key, _ in _split_parts(name, value, layer)]
                joined = torch.cat(parts, dim=1 if "all_down" in name else 0) if len(parts) > 1 else parts[0]
                value.copy_(joined.view(value.shape))


def _iterate_layers(model: FlashCanary) -> Iterator[tuple[str, FlashLayer]]:
    for i, layer in enumerate(model.layers):
        yield f"{TOWER}layers.{i}.", layer


def _split_parts(name: str, value: Tensor, layer: FlashLayer) -> Iterator[tuple[str, Tensor]]:
    """Yield what one parameter is stored as: an expert each, a convolution each, streams by their release names."""
    if name in STREAMS:
        yield STREAMS[name], value
    elif name == "self_attn.conv":
        for letter, part in zip("qkv", value.unsqueeze(1).chunk(3), strict=True):
            yield f"self_attn.{letter}_conv1d.weight", part
    elif name == "self_attn.o_norm":
        yield "self_attn.o_norm.weight", value
    else:
        yield from split_experts(name, value, layer.mlp)


def _as_stored(name: str, value: Tensor) -> Tensor:
    dtype = torch.float32 if name.endswith(IN_FP32) else torch.bfloat16
    return value.detach().to("cpu", dtype).contiguous()


def make_image_tower(hidden_size: int) -> dict[str, Tensor]:
    """Return the tower that is never shown an image: zeros, in the shapes that `VISION` asks for."""
    v = VISION
    width, inner, out = v["hidden_size"], v["intermediate_size"], hidden_size
    head, merge, bottleneck = width // v["num_heads"], v["spatial_merge_size"], v["projection_intermediate_size"]
    patch = (v["in_channels"], v["temporal_patch_size"], v["patch_size"], v["patch_size"])
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embed.proj.weight": (width, *patch),
        "patch_embed.proj.bias": (width,),
        "post_layernorm.weight": (width,),
        "downsample.weight": (out, width, merge, merge),
        "downsample.bias": (out,),
        "merger.proj.weight": (out, out),
        "merger.post_projection_norm.weight": (out,),
        "merger.post_projection_norm.bias": (out,),
        "merger.gate_proj.weight": (bottleneck, out),
        "merger.up_proj.weight": (bottleneck, out),
        "merger.down_proj.weight": (out, bottleneck),
    }
    block = {
        "norm1.weight": (width,),
        "norm2.weight": (width,),
        "attn.qkv.weight": (3 * width, width),
        "attn.qkv.bias": (3 * width,),
        "attn.proj.weight": (width, width),
        "attn.proj.bias": (width,),
        "attn.q_norm.weight": (head,),
        "attn.k_norm.weight": (head,),
        "mlp.gate_proj.weight": (inner, width),
        "mlp.gate_proj.bias": (inner,),
        "mlp.up_proj.weight": (inner, width),
        "mlp.up_proj.bias": (inner,),
        "mlp.down_proj.weight": (width, inner),
        "mlp.down_proj.bias": (width,),
    }
    for i in range(v["depth"]):
        shapes |= {f"blocks.{i}.{name}": shape for name, shape in block.items()}
    return {f"model.visual.{name}": torch.zeros(shape, dtype=torch.bfloat16) for name, shape in shapes.items()}
