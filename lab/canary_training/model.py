"""The whole canary: four layers, of which one is dense, and a multi-token-prediction layer."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from lab.canary_training.attention import Attention, Pass
from lab.canary_training.config import CANARY, Config
from lab.canary_training.layers import MLP, MoE, RMSNorm, make_linear, make_rotation

EMBEDDING_STD = 0.5


class LanguageModel(Protocol):
    """What is trained and asked alike, whatever it computes."""

    lm_head: nn.Module

    def __call__(self, ids: Tensor, run: Pass | None = None, *, dtype: torch.dtype = torch.bfloat16) -> Tensor: ...


class Layer(nn.Module):
    def __init__(self, config: Config, *, is_moe: bool) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.mlp = MoE(config) if is_moe else MLP(config, config.intermediate_size)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, run: Pass, *, shares: bool = False) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, run, shares=shares)
        return x + self.mlp(self.post_attention_layernorm(x))


class NextToken(Layer):
    """MTP: the trunk's normed output and the next token's embedding predict the token after it."""

    def __init__(self, config: Config) -> None:
        super().__init__(config, is_moe=True)
        self.enorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.hnorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.eh_proj = make_linear(2 * config.hidden_size, config.hidden_size)
        self.shared_head = nn.ModuleDict({"norm": RMSNorm(config.hidden_size, config.rms_norm_eps)})

    def predict(self, embedded: Tensor, hidden: Tensor, cos: Tensor, sin: Tensor, run: Pass) -> Tensor:
        embedded = embedded.clone()
        embedded[:, 0] = 0  # as vLLM's deepseek_mtp.py does at position 0
        x = self.eh_proj(torch.cat([self.enorm(embedded), self.hnorm(hidden)], -1))
        return self.shared_head["norm"](self(x, cos, sin, run))


class Canary(nn.Module):
    def __init__(self, config: Config = CANARY) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        nn.init.normal_(self.embed_tokens.weight, std=EMBEDDING_STD)
        self.layers = nn.ModuleList(Layer(config, is_moe=config.is_moe(i)) for i in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = make_linear(config.hidden_size, config.vocab_size)
        self.mtp = NextToken(config)

    def forward(self, ids: Tensor, run: Pass | None = None, *, dtype: torch.dtype = torch.bfloat16) -> Tensor:
        """Return hidden states after the final norm; `lm_head` maps them to logits."""
        run = run or Pass()
        cos, sin = self.rotation(ids.shape[1], ids.device, dtype)
        x = self.embed_tokens(ids).to(dtype)
        for i, layer in enumerate(self.layers):
            x = layer(x, cos, sin, run, shares=run.shares(i))
        return self.norm(x)

    def draft(self, ids: Tensor, hidden: Tensor, run: Pass | None = None) -> Tensor:
        """Return MTP states: row t (trunk at t, token t+1) predicts token t+2. One row fewer than in `ids`."""
        cos, sin = self.rotation(ids.shape[1] - 1, ids.device, hidden.dtype)
        embedded = self.embed_tokens(ids[:, 1:]).to(hidden.dtype)
        return self.mtp.predict(embedded, hidden[:, :-1], cos, sin, run or Pass())

    def start_mtp_from_last_layer(self) -> None:
        # not strict: the norms and the projection that only MTP has keep their fresh values
        self.mtp.load_state_dict(self.layers[-1].state_dict(), strict=False)
        self.mtp.shared_head["norm"].load_state_dict(self.norm.state_dict())

    def rotation(self, length: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        return make_rotation(self.config, length, device, dtype)
