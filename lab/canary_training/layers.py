"""Building blocks: norms, rotary positions, and the two kinds of feed-forward."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812  torch's own spelling
from torch import Tensor, nn

from lab.canary_training.config import Config
from lab.canary_training.flash_config import FlashConfig

BIAS_STEP = 2e-3  # of the auxiliary-loss-free balancing: how far one step moves an expert's correction bias


def make_linear(inputs: int, outputs: int, scale: float = 1.0) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=scale / math.sqrt(inputs))
    return layer


def residual_scale(config: Config | FlashConfig) -> float:
    return float((2 * config.num_hidden_layers) ** -0.5)


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        # the weight in the input's type: fp32 here would lift the whole layer out of bf16
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.eps)


def make_rotation(config: Config, length: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return cos and sin, [length, rope / 2]."""
    half = torch.arange(0, config.qk_rope_head_dim, 2, device=device).float() / config.qk_rope_head_dim
    angles = torch.arange(length, device=device).float()[:, None] / config.rope_theta**half
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate_pairs(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate interleaved pairs (even, odd). The result stays de-interleaved: dot products do not care.

    x is [batch, length, heads, rope]; cos and sin are [length, rope / 2] or [batch, length, rope / 2].
    """
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.cat([even * cos - odd * sin, odd * cos + even * sin], -1)


def gate_up(gate: Tensor, up: Tensor, limit: float | None) -> Tensor:
    """SwiGLU, whose inputs GLM-5.3-Flash clamps."""
    if limit is not None:
        gate, up = gate.clamp(max=limit), up.clamp(-limit, limit)
    return F.silu(gate) * up


class MLP(nn.Module):
    def __init__(self, config: Config | FlashConfig, inner: int) -> None:
        super().__init__()
        self.limit = config.swiglu_limit
        self.gate_proj = make_linear(config.hidden_size, inner)
        self.up_proj = make_linear(config.hidden_size, inner)
        self.down_proj = make_linear(inner, config.hidden_size, residual_scale(config))

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(gate_up(self.gate_proj(x), self.up_proj(x), self.limit))


class MoE(nn.Module):
    """Computes every expert and masks by the gate: exact, and at this size faster than dispatching tokens."""

    def __init__(self, config: Config | FlashConfig) -> None:
        super().__init__()
        self.config = config
        experts, inner, hidden = config.n_routed_experts, config.moe_intermediate_size, config.hidden_size
        self.gate = make_linear(hidden, experts)
        # a buffer: it follows the load by sign, and no gradient reaches it
        self.gate.register_buffer("e_score_correction_bias", torch.zeros(experts))
        self.all_gate = make_linear(hidden, experts * inner)
        self.all_up = make_linear(hidden, experts * inner)
        self.all_down = make_linear(experts * inner, hidden)
        # by the width of one expert and the factor that scales them all: as loud as a dense layer at the start
        down_std = residual_scale(config) / math.sqrt(inner) / config.routed_scaling_factor
        nn.init.normal_(self.all_down.weight, std=down_std)
        self.shared_experts = MLP(config, inner * config.n_shared_experts)

    def forward(self, x: Tensor) -> Tensor:
        inner = gate_up(self.all_gate(x), self.all_up(x), self.config.swiglu_limit)
        by_expert = inner.unflatten(-1, (self.config.n_routed_experts, -1))
        gated = by_expert * self.gates(x).to(inner.dtype).unsqueeze(-1)
        return self.all_down(gated.flatten(-2)) + self.shared_experts(x)

    def gates(self, x: Tensor) -> Tensor:
        """Return gates [..., experts], zero where not chosen. The bias affects the choice but not the weight."""
        with torch.autocast(x.device.type, enabled=False):
            # in fp32, as engines route: bf16 scores tie, and a tie chooses other experts than theirs
            scores = F.linear(x.float(), self.gate.weight.float()).sigmoid()
        biased = scores + self.gate.e_score_correction_bias
        chosen = biased.topk(self.config.num_experts_per_tok, -1).indices
        mask = torch.zeros_like(scores).scatter_(-1, chosen, 1.0)
        # not under no_grad: the auxiliary part runs the trunk without a graph, and its balance is settled
        if self.training and torch.is_grad_enabled():
            self._balance_experts(mask)
        gates = scores * mask
        return gates / (gates.sum(-1, keepdim=True) + 1e-20) * self.config.routed_scaling_factor

    @torch.no_grad()
    def _balance_experts(self, mask: Tensor) -> None:
        load = mask.reshape(-1, mask.shape[-1]).mean(0)
        self.gate.e_score_correction_bias.add_(BIAS_STEP * torch.sign(load.mean() - load))
