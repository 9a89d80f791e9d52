"""The whole flash canary: four layers, of which one is dense and two are KDA, on four residual streams."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lab.canary_training.attention import Pass
from lab.canary_training.flash.delta import LinearAttention
from lab.canary_training.flash.latent import LatentAttention
from lab.canary_training.flash.streams import HyperConnection, spread
from lab.canary_training.flash_config import FLASH, KDA, FlashConfig
from lab.canary_training.layers import MLP, MoE, RMSNorm, make_linear
from lab.canary_training.model import EMBEDDING_STD


class FlashLayer(nn.Module):
    def __init__(self, config: FlashConfig, index: int) -> None:
        super().__init__()
        self.is_linear = config.layer_types[index] == KDA
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = LinearAttention(config) if self.is_linear else LatentAttention(config)
        self.mlp = MoE(config) if config.is_moe(index) else MLP(config, config.intermediate_size)
        self.attn_hc, self.ffn_hc = HyperConnection(config), HyperConnection(config)

    def forward(self, streams: Tensor, run: Pass) -> Tensor:
        x, post, comb = self.attn_hc(streams)
        x = self.input_layernorm(x)
        x = self.self_attn(x) if self.is_linear else self.self_attn(x, run)
        streams = spread(post, comb, x, streams)
        x, post, comb = self.ffn_hc(streams)
        return spread(post, comb, self.mlp(self.post_attention_layernorm(x)), streams)


class FlashCanary(nn.Module):
    def __init__(self, config: FlashConfig = FLASH) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        nn.init.normal_(self.embed_tokens.weight, std=EMBEDDING_STD)
        self.layers = nn.ModuleList(FlashLayer(config, i) for i in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = make_linear(config.hidden_size, config.vocab_size)

    def forward(self, ids: Tensor, run: Pass | None = None, *, dtype: torch.dtype = torch.bfloat16) -> Tensor:
        """Return hidden states after the final norm; `lm_head` maps them to logits."""
        run = run or Pass()
        x = self.embed_tokens(ids).to(dtype)
        streams = x.unsqueeze(2).expand(-1, -1, self.config.hc_mult, -1).contiguous()
        for layer in self.layers:
            streams = layer(streams, run)
        return self.norm(streams.mean(2))
