"""Manifold-constrained hyper-connections: four residual streams, mixed before and after each layer.

    x = sum_i pre_i * s_i        s'_j = post_j * f(norm(x)) + sum_i comb_ij * s_i

The weights come from the streams themselves, by one projection; `comb` is made doubly stochastic (Sinkhorn).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  torch's own spelling
from torch import Tensor, nn

from lab.canary_training.flash.fusion import fuse
from lab.canary_training.flash.sinkhorn import Sinkhorn
from lab.canary_training.flash_config import FlashConfig

STAYS = 2.0  # by how much a stream begins with staying itself rather than mixing with the others
STD = 0.02


class HyperConnection(nn.Module):
    def __init__(self, config: FlashConfig) -> None:
        super().__init__()
        self.config, n = config, config.hc_mult
        self.fn = nn.Parameter(torch.randn((2 + n) * n, n * config.hidden_size) * STD)
        # streams begin unlike each other: equal ones would have equal gradients
        reads = torch.linspace(-0.5, 0.5, n)
        self.base = nn.Parameter(torch.cat([reads, -reads, (STAYS * torch.eye(n)).flatten()]))
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, streams: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (the layer's input before its norm, post, comb)."""
        c = self.config
        with torch.autocast(streams.device.type, enabled=False):
            flat = streams.flatten(-2).float()
            mixes = F.linear(flat * norm_factor(flat, c.rms_norm_eps), self.fn.float())
        pre, post, comb = weigh_streams(mixes, self.base, self.scale, c.hc_mult, c.hc_eps)
        return collapse(pre, streams), post, Sinkhorn.apply(comb, c.hc_eps, c.hc_sinkhorn_iters)


@fuse
def norm_factor(x: Tensor, eps: float) -> Tensor:
    return torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)


@fuse
def weigh_streams(mixes: Tensor, base: Tensor, scale: Tensor, n: int, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    pre = torch.sigmoid(mixes[..., :n] * scale[0] + base[:n]) + eps
    post = 2 * torch.sigmoid(mixes[..., n : 2 * n] * scale[1] + base[n : 2 * n])
    comb = torch.softmax((mixes[..., 2 * n :] * scale[2] + base[2 * n :]).unflatten(-1, (n, n)), -1) + eps
    return pre, post, comb


@fuse
def collapse(pre: Tensor, streams: Tensor) -> Tensor:
    return (pre.unsqueeze(-1) * streams).sum(-2).to(streams.dtype)


@fuse
def spread(post: Tensor, comb: Tensor, x: Tensor, streams: Tensor) -> Tensor:
    """Return the streams after a layer whose output is `x`."""
    kept = (comb.unsqueeze(-1) * streams.unsqueeze(-2)).sum(-3)
    return (post.unsqueeze(-1) * x.unsqueeze(-2) + kept).to(streams.dtype)
