"""Kimi delta attention (KDA): a state of keys times values per head, which decays by channel and is corrected.

    S_t = (S_{t-1} * exp(g_t)) + k_t (beta_t (v_t - k_t (S_{t-1} * exp(g_t))))        o_t = q_t S_t

Chunks of 64 tokens are solved at once, and the states between chunks by doubling: a chunk maps its first state to the
next one by a matrix and a summand, and such maps compose. So 32,768 tokens take nine rounds, not 512.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812  torch's own spelling
from torch import Tensor, nn

from lab.canary_training.flash.fusion import fuse
from lab.canary_training.flash_config import FlashConfig
from lab.canary_training.layers import make_linear, residual_scale

CHUNK, BLOCK = 64, 32  # half a block times the lower bound of g, 5, must stay an exponent of float32: 80 < 88
NORM_EPS = 1e-6  # of the keys' and queries' length


class LinearAttention(nn.Module):
    def __init__(self, config: FlashConfig) -> None:
        super().__init__()
        self.config = config
        hidden, size, head = config.hidden_size, config.linear_size, config.linear_head_dim
        self.q_proj = make_linear(hidden, size)
        self.k_proj = make_linear(hidden, size)
        self.v_proj = make_linear(hidden, size)
        taps = config.linear_conv_kernel_dim
        self.conv = nn.Parameter(torch.empty(3 * size, taps).uniform_(-(taps**-0.5), taps**-0.5))
        self.f_a_proj = make_linear(hidden, head)
        self.f_b_proj = make_linear(head, size)
        self.b_proj = make_linear(hidden, config.linear_num_heads)
        self.g_a_proj = make_linear(hidden, head)
        self.g_b_proj = make_linear(head, size)
        step = torch.empty(size).uniform_(math.log(1e-3), math.log(1e-1)).exp()
        self.dt_bias = nn.Parameter(step + torch.log(-torch.expm1(-step)))  # softplus of it is `step`
        self.A_log = nn.Parameter(torch.zeros(config.linear_num_heads))
        self.o_norm = nn.Parameter(torch.ones(head))
        self.o_proj = make_linear(size, hidden, residual_scale(config))

    def forward(self, x: Tensor) -> Tensor:
        c = self.config
        by_head = (c.linear_num_heads, c.linear_head_dim)
        mixed = torch.cat([self.q_proj(x), self.k_proj(x), self.v_proj(x)], -1)
        q, k, v = convolve(mixed, self.conv).unflatten(-1, (3, *by_head)).unbind(-3)
        forget = self.f_b_proj(self.f_a_proj(x)).unflatten(-1, by_head)
        q, k = normalise_heads(q, k)
        g = decay_heads(forget, self.A_log, self.dt_bias.view(by_head), c.linear_lower_bound)
        beta = torch.sigmoid(self.b_proj(x).float())
        with torch.autocast(x.device.type, enabled=False):
            mixed = run_delta_rule(q, k, v.float(), g, beta)
        gate = self.g_b_proj(self.g_a_proj(x)).unflatten(-1, by_head)
        normed = gate_norm(mixed, gate, self.o_norm, c.rms_norm_eps)
        return self.o_proj(normed.to(x.dtype).flatten(-2))


@fuse
def convolve(x: Tensor, taps: Tensor) -> Tensor:
    """Convolve each channel with the last inputs of its own, in fp32, and apply SiLU: x [batch, length, channels]."""
    count, length = taps.shape[1], x.shape[1]
    padded = F.pad(x.float(), (0, 0, count - 1, 0))
    mixed = padded[:, :length] * taps[:, 0]
    for i in range(1, count):
        mixed = mixed + padded[:, i : i + length] * taps[:, i]
    return F.silu(mixed).to(x.dtype)


@fuse
def normalise_heads(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Return queries and keys of length 1, queries scaled."""
    q, k = q.float(), k.float()
    q = q / torch.sqrt((q * q).sum(-1, keepdim=True) + NORM_EPS) * (q.shape[-1] ** -0.5)
    return q, k / torch.sqrt((k * k).sum(-1, keepdim=True) + NORM_EPS)


@fuse
def decay_heads(forget: Tensor, a_log: Tensor, dt_bias: Tensor, lower_bound: float) -> Tensor:
    """Return the log decay by channel, between `lower_bound` and 0."""
    return lower_bound * torch.sigmoid(a_log.exp()[:, None] * (forget.float() + dt_bias))


@fuse
def gate_norm(x: Tensor, gate: Tensor, weight: Tensor, eps: float) -> Tensor:
    x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
    return weight * x * torch.sigmoid(gate.float())


def run_delta_rule(q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor) -> Tensor:
    """Return outputs [batch, length, heads, size] for normalised queries and keys."""
    length = q.shape[1]
    q, k, v, g = (_cut_chunks(x) for x in (q, k, v, g))
    beta = _cut_chunks(beta.unsqueeze(-1))
    total = g.cumsum(-2)
    within_k, within_q = _decayed_products(q, k, total)
    grown, faded_k, last, faded_q = fade(q, k, total, beta)
    inverse = invert_unit_lower((beta * within_k).tril(-1))
    values, read = inverse @ (beta * v), inverse @ grown
    # what this chunk's keys leave of a state that enters it, and what its values add
    leave = torch.diag_embed(last.exp().squeeze(-2)) - faded_k.transpose(-1, -2) @ read
    states = scan_states(leave, faded_k.transpose(-1, -2) @ values)
    out = faded_q @ states + within_q.tril() @ (values - read @ states)
    return out.flatten(2, 3).transpose(1, 2)[:, :length]


def _cut_chunks(x: Tensor) -> Tensor:
    """[batch, length, heads, size] -> [batch, heads, chunks, CHUNK, size], padded with zeros: no key and no decay."""
    x = F.pad(x, (0, 0, 0, 0, 0, -x.shape[1] % CHUNK))
    return x.transpose(1, 2).unflatten(2, (-1, CHUNK))


@fuse
def fade(q: Tensor, k: Tensor, total: Tensor, beta: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    last = total[..., -1:, :]
    return beta * k * total.exp(), k * (last - total).exp(), last, q * total.exp()


@fuse
def _scale_blocks(q: Tensor, k: Tensor, total: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    # relative to a point within or between blocks: exp(-total) of a whole chunk would overflow
    parts = total.unflatten(-2, (-1, BLOCK))
    middle = parts[..., BLOCK // 2 - 1 : BLOCK // 2, :]
    up, down = (parts - middle).exp(), (middle - parts).exp()
    q_parts, k_parts = q.unflatten(-2, (-1, BLOCK)), k.unflatten(-2, (-1, BLOCK))
    edge = parts[..., 0, -1:, :]
    early, late = (edge - parts[..., 0, :, :]).exp(), (parts[..., 1, :, :] - edge).exp()
    return (
        q_parts * up,
        k_parts * up,
        k_parts * down,
        k_parts[..., 0, :, :] * early,
        q_parts[..., 1, :, :] * late,
        (k_parts[..., 1, :, :] * late),
    )


def _decayed_products(q: Tensor, k: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """Return k_i . k_j and q_i . k_j with the decay from j to i; what lies above the diagonal is unspecified."""
    q_up, k_up, k_down, k_early, q_late, k_late = _scale_blocks(q, k, total)
    k_down, k_early = k_down.transpose(-1, -2), k_early.transpose(-1, -2)
    return _place_blocks(k_up @ k_down, k_late @ k_early), _place_blocks(q_up @ k_down, q_late @ k_early)


def _place_blocks(diagonal: Tensor, below: Tensor) -> Tensor:
    # an exponent above the diagonal can be infinite, and infinity times a gradient of zero is not zero
    diagonal = diagonal.masked_fill(~torch.ones(BLOCK, BLOCK, dtype=torch.bool, device=diagonal.device).tril(), 0)
    top = torch.cat([diagonal[..., 0, :, :], torch.zeros_like(below)], -1)
    return torch.cat([top, torch.cat([below, diagonal[..., 1, :, :]], -1)], -2)


def invert_unit_lower(lower: Tensor) -> Tensor:
    """Return (1 + lower)^-1 for a strictly lower triangular matrix, by blocks of 1, 2, 4, ... (stable, 12 products)."""
    size = lower.shape[-1]
    inverse = torch.ones(*lower.shape[:-2], size, 1, 1, dtype=lower.dtype, device=lower.device)
    width = 1
    while width < size:
        pairs = lower.unflatten(-1, (-1, 2 * width)).unflatten(-3, (-1, 2 * width))
        below = pairs.diagonal(dim1=-4, dim2=-2)[..., width:, :width, :].movedim(-1, -3)
        first, second = inverse[..., 0::2, :, :], inverse[..., 1::2, :, :]
        corner = -second @ below @ first
        top = torch.cat([first, torch.zeros_like(first)], -1)
        inverse = torch.cat([top, torch.cat([corner, second], -1)], -2)
        width *= 2
    return inverse.squeeze(-3)


def scan_states(leave: Tensor, add: Tensor) -> Tensor:
    """Return the state that enters each chunk: s_0 = 0, s_{i+1} = leave_i s_i + add_i. Chunks lie on axis 2."""
    step = 1
    while step < add.shape[2]:
        later = leave[:, :, step:]
        add = torch.cat([add[:, :, :step], add[:, :, step:] + later @ add[:, :, :-step]], 2)
        if 2 * step < add.shape[2]:
            leave = torch.cat([leave[:, :, :step], later @ leave[:, :, :-step]], 2)
        step *= 2
    return torch.cat([torch.zeros_like(add[:, :, :1]), add[:, :, :-1]], 2)
