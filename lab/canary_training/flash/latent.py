"""Multi-head latent attention without positions (NoPE), and its indexer, which selects pools of four tokens.

    pool key = sum over its tokens of softmax(gate . x + ape) * k_norm(wk x)
    score(q, pool) = sum over heads h of w_h * relu(q_h . pool key / sqrt(128)) / sqrt(heads)

The best `index_topk / index_kpool` complete pools are attended, and the tokens behind the last complete one always.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  torch's own spelling
from torch import Tensor, nn

from lab.canary_training.attention import CHUNK_BYTES, Pass, Trace, attend_selected
from lab.canary_training.flash_config import FlashConfig
from lab.canary_training.layers import RMSNorm, make_linear, residual_scale


class PooledIndexer(nn.Module):
    def __init__(self, config: FlashConfig) -> None:
        super().__init__()
        self.heads, self.size, self.pool = config.index_n_heads, config.index_head_dim, config.index_kpool
        self.wq_b = make_linear(config.q_lora_rank, self.heads * self.size)
        self.wk = make_linear(config.hidden_size, self.size)
        self.k_norm = nn.LayerNorm(self.size, eps=1e-6)
        self.weights_proj = make_linear(config.hidden_size, self.heads)
        self.index_kpool_compress_ape = nn.Parameter(torch.zeros(self.pool, self.size))
        self.index_kpool_compress_gate = nn.Parameter(torch.randn(self.size, config.hidden_size) * 0.02)

    def pool_keys(self, x: Tensor) -> Tensor:
        """Return the keys of the complete pools, [batch, pools, size]."""
        x = x[:, : x.shape[1] // self.pool * self.pool]
        keys = self.k_norm(self.wk(x)).unflatten(1, (-1, self.pool))
        logits = F.linear(x, self.index_kpool_compress_gate).unflatten(1, (-1, self.pool)).float()
        shares = (logits + self.index_kpool_compress_ape).softmax(2)
        return (shares.to(keys.dtype) * keys).sum(2)

    def scores(self, x: Tensor, q_latent: Tensor, keys: Tensor) -> Tensor:
        """Return scores [batch, queries, pools] in fp32."""
        q = self.wq_b(q_latent).unflatten(-1, (self.heads, self.size))
        with torch.autocast(x.device.type, enabled=False):
            # in fp32, as transformers and vLLM weigh heads: bf16 sums make ties at the edge of the selection
            weights = F.linear(x.float(), self.weights_proj.weight.float()) * self.heads**-0.5
        dots = F.relu(q.flatten(1, 2) @ keys.to(q.dtype).transpose(1, 2) * self.size**-0.5)
        with torch.autocast(x.device.type, enabled=False):
            by_head = dots.view(*x.shape[:2], self.heads, -1).float()
            return torch.matmul(weights.unsqueeze(2), by_head).squeeze(2)


class LatentAttention(nn.Module):
    def __init__(self, config: FlashConfig) -> None:
        super().__init__()
        self.config, heads, eps = config, config.num_attention_heads, config.rms_norm_eps
        self.q_a_proj = make_linear(config.hidden_size, config.q_lora_rank)
        self.q_a_layernorm = RMSNorm(config.q_lora_rank, eps)
        self.q_b_proj = make_linear(config.q_lora_rank, heads * config.qk_nope_head_dim)
        self.kv_a_proj_with_mqa = make_linear(config.hidden_size, config.kv_lora_rank)
        self.kv_a_layernorm = RMSNorm(config.kv_lora_rank, eps)
        self.kv_b_proj = make_linear(config.kv_lora_rank, heads * (config.qk_nope_head_dim + config.v_head_dim))
        self.o_proj = make_linear(heads * config.v_head_dim, config.hidden_size, residual_scale(config))
        self.indexer = PooledIndexer(config)

    def forward(self, x: Tensor, run: Pass) -> Tensor:
        c = self.config
        by_head = (c.num_attention_heads, -1)
        q_latent = self.q_a_layernorm(self.q_a_proj(x))
        q = self.q_b_proj(q_latent).unflatten(-1, by_head).transpose(1, 2)
        kv = self.kv_b_proj(self.kv_a_layernorm(self.kv_a_proj_with_mqa(x))).unflatten(-1, by_head).transpose(1, 2)
        k, v = kv.split([c.qk_nope_head_dim, c.v_head_dim], -1)
        if run.traces is not None:
            run.traces.append(Trace(x, q_latent, q, k))
        if run.topk is None:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            mixed = attend_selected(q, k, v, self._select_pools(x, q_latent, run.topk))
        return self.o_proj(mixed.transpose(1, 2).flatten(2))

    def _select_pools(self, x: Tensor, q_latent: Tensor, topk: int) -> list[Tensor]:
        """Return boolean masks [batch, queries, keys so far], one per chunk of queries."""
        batch, length = x.shape[:2]
        keys, pool = self.indexer.pool_keys(x), self.indexer.pool
        chunk = max(64, min(length, CHUNK_BYTES // (batch * self.indexer.heads * length)))
        masks = []
        for start in range(0, length, chunk):
            end = min(length, start + chunk)
            rows, positions = slice(start, end), torch.arange(end, device=x.device)
            causal = positions[None] <= positions[rows, None]
            if end <= topk:
                masks.append(causal.expand(batch, -1, -1))
                continue
            whole = positions[rows] // pool + (positions[rows] % pool == pool - 1)  # pools that the query sees all of
            scores = self.indexer.scores(x[:, rows], q_latent[:, rows], keys[:, : end // pool])
            seen = torch.arange(end // pool, device=x.device)[None] < whole[:, None]
            best = scores.masked_fill(~seen, float("-inf")).topk(min(topk // pool, end // pool), -1).indices
            chosen = torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, best, value=True) & seen
            chosen = F.pad(chosen.repeat_interleave(pool, -1), (0, end % pool))
            masks.append((chosen | (positions[None] >= whole[:, None] * pool)) & causal)
        return masks
