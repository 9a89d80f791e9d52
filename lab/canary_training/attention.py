"""Multi-head latent attention with the DeepSeek sparse indexer, as GLM-5 runs it.

    index score(q, k) = sum over heads h of w_h * relu(q_h . k) / sqrt(128) / sqrt(32)

RoPE is interleaved in the attention and in the indexer. The trunk is trained dense; the indexer learns afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812  torch's own spelling
from torch import Tensor, nn

from lab.canary_training.config import Config
from lab.canary_training.layers import RMSNorm, make_linear, residual_scale, rotate_pairs

CHUNK_BYTES = 1 << 29  # of index scores that may exist at once in the sparse path


@dataclass(slots=True)
class Trace:
    """The parts of one layer's attention that the indexer's lesson needs."""

    x: Tensor
    q_latent: Tensor
    q: Tensor
    k: Tensor


@dataclass(slots=True)
class Pass:
    """How one forward pass attends. `topk=None` is dense; an S layer of IndexCache reuses `selection`."""

    topk: int | None = None
    pattern: str = ""  # e.g. "FFSS": one letter per layer, F selects, S shares
    selection: list[Tensor] = field(default_factory=list)
    traces: list[Trace] | None = None

    def shares(self, layer: int) -> bool:
        return layer < len(self.pattern) and self.pattern[layer] == "S"


class Indexer(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.size, self.rope = config.index_n_heads, config.index_head_dim, config.qk_rope_head_dim
        self.wq_b = make_linear(config.q_lora_rank, self.heads * self.size)
        self.wk = make_linear(config.hidden_size, self.size)
        self.k_norm = nn.LayerNorm(self.size, eps=1e-6)
        self.weights_proj = make_linear(config.hidden_size, self.heads)

    def keys(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        # one key for all heads of the indexer: heads differ in their queries and weights alone
        k = self.k_norm(self.wk(x)).to(x.dtype).unsqueeze(2)
        return self._rotate_heads(k, cos, sin).squeeze(2)

    def scores(self, x: Tensor, q_latent: Tensor, keys: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return scores [batch, queries, keys] in fp32: bf16 sums over 32 heads make ties at the edge of the top k."""
        batch, queries = x.shape[:2]
        q = self._rotate_heads(self.wq_b(q_latent).view(batch, queries, self.heads, self.size), cos, sin)
        weights = self.weights_proj(x).float() * (self.heads**-0.5 * self.size**-0.5)
        dots = F.relu(torch.matmul(q.flatten(1, 2), keys.transpose(1, 2)))
        with torch.autocast(x.device.type, enabled=False):
            by_head = dots.view(batch, queries, self.heads, -1).float()
            return torch.matmul(weights.unsqueeze(2), by_head).squeeze(2)

    def _rotate_heads(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        return torch.cat([rotate_pairs(x[..., : self.rope], cos, sin), x[..., self.rope :]], -1)


class Attention(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, heads = config, config.num_attention_heads
        eps = config.rms_norm_eps
        self.q_a_proj = make_linear(config.hidden_size, config.q_lora_rank)
        self.q_a_layernorm = RMSNorm(config.q_lora_rank, eps)
        self.q_b_proj = make_linear(config.q_lora_rank, heads * config.qk_head_dim)
        self.kv_a_proj_with_mqa = make_linear(config.hidden_size, config.kv_lora_rank + config.qk_rope_head_dim)
        self.kv_a_layernorm = RMSNorm(config.kv_lora_rank, eps)
        self.kv_b_proj = make_linear(config.kv_lora_rank, heads * (config.qk_nope_head_dim + config.v_head_dim))
        self.o_proj = make_linear(heads * config.v_head_dim, config.hidden_size, residual_scale(config))
        self.indexer = Indexer(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, run: Pass, *, shares: bool) -> Tensor:
        q_latent = self.q_a_layernorm(self.q_a_proj(x))
        q, k, v = self._split_heads(x, q_latent, cos, sin)
        if run.traces is not None:
            run.traces.append(Trace(x, q_latent, q, k))
        if run.topk is None:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            # an S layer keeps what the layer above has left in the pass
            if not shares:
                run.selection = self._select_keys(x, q_latent, cos, sin, run.topk)
            mixed = attend_selected(q, k, v, run.selection)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))

    def _split_heads(self, x: Tensor, q_latent: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        c, heads = self.config, self.config.num_attention_heads
        nope = c.qk_nope_head_dim
        q = self.q_b_proj(q_latent).unflatten(-1, (heads, c.qk_head_dim))
        latent, k_rope = self.kv_a_proj_with_mqa(x).split([c.kv_lora_rank, c.qk_rope_head_dim], -1)
        kv = self.kv_b_proj(self.kv_a_layernorm(latent)).unflatten(-1, (heads, nope + c.v_head_dim))
        # one rotated part for all heads: MLA stores it once beside the latent
        k_rope = rotate_pairs(k_rope.unsqueeze(2), cos, sin).expand(-1, -1, heads, -1).to(kv.dtype)
        q = torch.cat([q[..., :nope], rotate_pairs(q[..., nope:], cos, sin)], -1)
        k = torch.cat([kv[..., :nope], k_rope], -1)
        v = kv[..., nope:].transpose(1, 2).contiguous()
        return q.transpose(1, 2), k.transpose(1, 2), v

    def _select_keys(self, x: Tensor, q_latent: Tensor, cos: Tensor, sin: Tensor, topk: int) -> list[Tensor]:
        """Return boolean masks [batch, queries, keys so far], one per chunk of queries."""
        batch, length = x.shape[:2]
        keys = self.indexer.keys(x, cos, sin)
        # scores of all 32 heads are the largest thing here: at 32k tokens they would take 137 GB at once
        chunk = max(64, min(length, CHUNK_BYTES // (batch * self.config.index_n_heads * length)))
        masks = []
        for start in range(0, length, chunk):
            end = min(length, start + chunk)
            rows = slice(start, end)
            positions = torch.arange(end, device=x.device)
            causal = positions[None] <= positions[rows, None]
            # so few keys are all selected: dense, as engines do below index_topk
            if end <= topk:
                masks.append(causal.expand(batch, -1, -1))
                continue
            scores = self.indexer.scores(x[:, rows], q_latent[:, rows], keys[:, :end], cos[rows], sin[rows])
            # masked again below: where fewer keys than topk are allowed, topk also picks forbidden ones
            best = scores.masked_fill(~causal, float("-inf")).topk(topk, -1).indices
            masks.append(torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, best, value=True) & causal)
        return masks


def attend_selected(q: Tensor, k: Tensor, v: Tensor, masks: list[Tensor]) -> Tensor:
    outputs, start = [], 0
    for mask in masks:
        rows, end = slice(start, start + mask.shape[1]), mask.shape[2]
        outputs.append(
            F.scaled_dot_product_attention(q[:, :, rows], k[:, :, :end], v[:, :, :end], attn_mask=mask.unsqueeze(1))
        )
        start = rows.stop
    return torch.cat(outputs, 2)
