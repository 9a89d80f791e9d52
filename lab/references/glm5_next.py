"""`Glm5NextForConditionalGeneration`'s text tower in numpy: a derivation from the equations, to check others against.

Written token by token and in double precision, where transformers works in chunks and in float32: what both agree on is
the class and not a way of computing it. Agreed on: `tests/lab/references/glm5_next_logits.json`.

    streams   four residuals per token; x = sum_i pre_i s_i,  s'_j = post_j f(norm x) + sum_i comb_ij s_i
    KDA       S = S * exp(g);  S = S + k (beta (v - k S));  o = q S               g by channel, k and q of length 1
    MLA       keys and values from one latent of 512, no positions; of a query's tokens those of the chosen pools
    indexer   a pool of four has the key  sum softmax(gate x + ape) * layernorm(wk x)
    experts   chosen by sigmoid score + bias, weighed by the scores without it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
TOWER: Final = "model.language_model."
LENGTH_EPS: Final = 1e-6  # of KDA's queries and keys
SCORE_EPS: Final = 1e-20


@dataclass(frozen=True)
class Glm5Next:
    """One checkpoint: its `text_config` and its tensors by their stored names."""

    config: Mapping[str, Any]
    tensors: Mapping[str, npt.NDArray[Any]]

    def logits(self, ids: Sequence[int], *, last: int = 0) -> Array:
        """Return the logits behind every token, or behind the `last` ones, [tokens, vocabulary]."""
        c = self.config
        embedded = self.tensor(f"{TOWER}embed_tokens.weight")[list(ids)]
        streams = np.repeat(embedded[:, None], c["hc_mult"], 1)
        for i in range(c["num_hidden_layers"]):
            streams = self._run_layer(i, streams)
        return self.project(self._norm(f"{TOWER}norm", streams[-last:].mean(1)), "lm_head")

    def tensor(self, name: str) -> Array:
        return self.tensors[name].astype(np.float64)

    def project(self, x: Array, name: str) -> Array:
        return np.asarray(x @ self.tensor(f"{name}.weight").T)

    def cached(self, at: str, latent: Array) -> Array:
        """Return a layer's latent as attention reads it: here, as it was written."""
        return latent

    def remembered(self, _at: str, shape: tuple[int, ...]) -> Array:
        """Return what a layer holds before the first token: nothing."""
        return np.zeros(shape)

    def remember(self, at: str, state: Array) -> None:
        """Take what a layer holds behind the last token: here, for nobody."""

    def _run_layer(self, index: int, streams: Array) -> Array:
        c, at = self.config, f"{TOWER}layers.{index}."
        is_linear = c["layer_types"][index] == "linear_attention"
        x, post, comb = self._mix_streams(f"{at}hc_attn_", streams)
        x = rms_norm(x, self.tensor(f"{at}input_layernorm.weight"), c["rms_norm_eps"])
        x = self._run_delta(f"{at}self_attn.", x) if is_linear else self._run_latent(f"{at}self_attn.", x)
        streams = post[:, :, None] * x[:, None] + np.einsum("tij,tid->tjd", comb, streams)
        x, post, comb = self._mix_streams(f"{at}hc_ffn_", streams)
        x = rms_norm(x, self.tensor(f"{at}post_attention_layernorm.weight"), c["rms_norm_eps"])
        is_sparse = c["mlp_layer_types"][index] == "sparse"
        x = self._run_experts(f"{at}mlp.", x) if is_sparse else self._run_dense(f"{at}mlp.", x)
        return np.asarray(post[:, :, None] * x[:, None] + np.einsum("tij,tid->tjd", comb, streams))

    def _mix_streams(self, at: str, streams: Array) -> tuple[Array, Array, Array]:
        """Return (the layer's input, post, comb)."""
        c, n = self.config, self.config["hc_mult"]
        flat = streams.reshape(len(streams), -1)
        mixes = rms_norm(flat, np.ones(1), c["rms_norm_eps"]) @ self.tensor(f"{at}fn").T
        base, scale = self.tensor(f"{at}base"), self.tensor(f"{at}scale")
        pre = sigmoid(mixes[:, :n] * scale[0] + base[:n]) + c["hc_eps"]
        post = 2 * sigmoid(mixes[:, n : 2 * n] * scale[1] + base[n : 2 * n])
        comb = softmax((mixes[:, 2 * n :] * scale[2] + base[2 * n :]).reshape(-1, n, n), -1) + c["hc_eps"]
        comb = comb / (comb.sum(-2, keepdims=True) + c["hc_eps"])
        for _ in range(c["hc_sinkhorn_iters"] - 1):
            comb = comb / (comb.sum(-1, keepdims=True) + c["hc_eps"])
            comb = comb / (comb.sum(-2, keepdims=True) + c["hc_eps"])
        return np.einsum("ti,tid->td", pre, streams), post, comb

    def _run_delta(self, at: str, x: Array) -> Array:
        c = self.config
        heads, size = c["linear_num_heads"], c["linear_head_dim"]
        q, k, v = (self._convolve(at, letter, x).reshape(-1, heads, size) for letter in "qkv")
        q, k = q / vector_length(q) * size**-0.5, k / vector_length(k)
        forget = self.project(self.project(x, f"{at}f_a_proj"), f"{at}f_b_proj")
        rate = np.exp(self.tensor(f"{at}A_log"))[:, None]
        decay = c["linear_lower_bound"] * sigmoid(
            rate * (forget + self.tensor(f"{at}dt_bias")).reshape(-1, heads, size)
        )
        beta = sigmoid(self.project(x, f"{at}b_proj"))
        state, said = self.remembered(at, (heads, size, size)), np.empty_like(v)
        for t in range(len(x)):
            state = state * np.exp(decay[t])[:, :, None]
            missing = v[t] - np.einsum("hk,hkv->hv", k[t], state)
            state = state + np.einsum("hk,hv->hkv", k[t], beta[t][:, None] * missing)
            said[t] = np.einsum("hk,hkv->hv", q[t], state)
        self.remember(at, state)
        gate = self.project(self.project(x, f"{at}g_a_proj"), f"{at}g_b_proj").reshape(said.shape)
        normed = rms_norm(said, self.tensor(f"{at}o_norm.weight"), c["rms_norm_eps"]) * sigmoid(gate)
        return self.project(normed.reshape(len(x), -1), f"{at}o_proj")

    def _convolve(self, at: str, letter: str, x: Array) -> Array:
        """Mix each channel of a projection with its last inputs; tokens before the first one are zero."""
        projected = self.project(x, f"{at}{letter}_proj")
        taps = self.tensor(f"{at}{letter}_conv1d.weight")[:, 0]
        before = self.remembered(f"{at}{letter}", (taps.shape[1] - 1, projected.shape[1]))
        padded = np.concatenate([before, projected])
        self.remember(f"{at}{letter}", padded[len(x) :])
        return silu(np.asarray(sum(padded[i : i + len(x)] * taps[:, i] for i in range(taps.shape[1]))))

    def _run_latent(self, at: str, x: Array) -> Array:
        c, heads = self.config, self.config["num_attention_heads"]
        latent = self._norm(f"{at}q_a_layernorm", self.project(x, f"{at}q_a_proj"))
        q = self.project(latent, f"{at}q_b_proj").reshape(len(x), heads, -1)
        kv = self._norm(f"{at}kv_a_layernorm", self.project(x, f"{at}kv_a_proj_with_mqa"))
        kv = self.project(self.cached(at, kv), f"{at}kv_b_proj").reshape(len(x), heads, -1)
        k, v = np.split(kv, [c["qk_nope_head_dim"]], -1)
        scores = np.einsum("qhd,khd->hqk", q, k, optimize=True) * c["qk_nope_head_dim"] ** -0.5
        scores = np.where(self.selected(at, x, latent), scores, -np.inf)
        mixed = np.einsum("hqk,khd->qhd", softmax(scores, -1), v, optimize=True)
        return self.project(mixed.reshape(len(x), -1), f"{at}o_proj")

    def selected(self, at: str, x: Array, latent: Array) -> npt.NDArray[np.bool_]:
        """Return which tokens each query attends, [queries, tokens]."""
        c, pool = self.config, self.config["index_kpool"]
        scores = self._pool_scores(f"{at}indexer.", x, latent)
        chosen = np.zeros((len(x), len(x)), dtype=np.bool_)
        for t in range(len(x)):
            whole = (t + 1) // pool  # complete pools that lie before or at the query
            best = np.argsort(-scores[t, :whole], kind="stable")[: c["index_topk"] // pool]
            for p in best:
                chosen[t, p * pool : (p + 1) * pool] = True
            chosen[t, whole * pool : t + 1] = True
        return chosen

    def _pool_scores(self, at: str, x: Array, latent: Array) -> Array:
        c, pool, size = self.config, self.config["index_kpool"], self.config["index_head_dim"]
        whole = len(x) // pool * pool
        keys = layer_norm(self.project(x, f"{at}wk"), self, f"{at}k_norm")
        gates = x @ self.tensor(f"{at}index_kpool_compress_gate").T
        shares = softmax(gates[:whole].reshape(-1, pool, size) + self.tensor(f"{at}index_kpool_compress_ape"), 1)
        pooled = (shares * keys[:whole].reshape(-1, pool, size)).sum(1)
        q = self.project(latent, f"{at}wq_b").reshape(len(x), c["index_n_heads"], size)
        weights = self.project(x, f"{at}weights_proj") * c["index_n_heads"] ** -0.5
        by_head = np.maximum(np.einsum("qhd,pd->qhp", q, pooled, optimize=True) * size**-0.5, 0)
        return np.asarray(np.einsum("qh,qhp->qp", weights, by_head, optimize=True))

    def _run_experts(self, at: str, x: Array) -> Array:
        c = self.config
        scores = sigmoid(self.project(x, f"{at}gate"))
        biased = scores + self.tensor(f"{at}gate.e_score_correction_bias")
        chosen = np.argsort(-biased, -1, kind="stable")[:, : c["num_experts_per_tok"]]
        weights = np.take_along_axis(scores, chosen, -1)
        weights = weights / (weights.sum(-1, keepdims=True) + SCORE_EPS) * c["routed_scaling_factor"]
        said = self._run_dense(f"{at}shared_experts.", x)
        for expert in range(c["n_routed_experts"]):
            share = np.where(chosen == expert, weights, 0).sum(-1)
            said = said + share[:, None] * self._run_dense(f"{at}experts.{expert}.", x)
        return said

    def _run_dense(self, at: str, x: Array) -> Array:
        limit = self.config["swiglu_limit"]
        gate = np.minimum(self.project(x, f"{at}gate_proj"), limit)
        up = np.clip(self.project(x, f"{at}up_proj"), -limit, limit)
        return self.project(silu(gate) * up, f"{at}down_proj")

    def _norm(self, at: str, x: Array) -> Array:
        return rms_norm(x, self.tensor(f"{at}.weight"), self.config["rms_norm_eps"])


def rms_norm(x: Array, weight: Array, eps: float) -> Array:
    return np.asarray(weight * x / np.sqrt((x * x).mean(-1, keepdims=True) + eps))


def layer_norm(x: Array, model: Glm5Next, at: str, eps: float = 1e-6) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    normed = centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + eps)
    return np.asarray(normed * model.tensor(f"{at}.weight") + model.tensor(f"{at}.bias"))


def vector_length(x: Array) -> Array:
    return np.asarray(np.sqrt((x * x).sum(-1, keepdims=True) + LENGTH_EPS))


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def silu(x: Array) -> Array:
    return x * sigmoid(x)


def softmax(x: Array, axis: int) -> Array:
    grown = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(grown / grown.sum(axis, keepdims=True))
