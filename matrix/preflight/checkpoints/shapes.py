"""Shapes in the headers against config.json's numbers: heads, ranks, experts, vocabulary.

Only what is stored one value an element is compared; packed weights (U8 of FP4, I32 of GPTQ) have their own arithmetic
in `quant_tensors`. Of a config without hidden_size nothing is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from matrix.preflight.checkpoints.files import Tensor
from matrix.preflight.checkpoints.geometry import Geometry
from matrix.preflight.checkpoints.remark import layers_of, make_remark
from matrix.preflight.checkpoints.survey import Survey, split_expert
from matrix.preflight.verdict import Remark

PLAIN = ("BF16", "F16", "F32", "F64", "F8_E4M3", "F8_E5M2")
Wanted = tuple[int | None, ...]  # None: the config does not say
EFFECT = "the loader stops with a size mismatch"


def judge_shapes(survey: Survey) -> Iterator[Remark]:
    g = survey.geometry
    if not g.whole:
        return
    yield from _check_vocabulary(survey, g)
    known = survey.architecture
    # of a class that is not known no shape is expected: its numbers may mean other products
    wanted = _per_layer(g) if known and known.mla and not known.partly else _moe_only(g) if known else {}
    wrong: dict[str, list[tuple[int, Tensor]]] = {}
    for layer, tensors in sorted(survey.by_layer.items()):
        for rest, tensor in tensors.items():
            kind = split_expert(rest)[0]
            if kind in wanted and tensor.dtype in PLAIN and not _fits_shape(tensor.shape, wanted[kind]):
                wrong.setdefault(kind, []).append((layer, tensor))
    for kind, found in wrong.items():
        layer, tensor = found[0]
        yield make_remark(
            "error",
            "shape",
            f"layers.{layer}.{kind}",
            f"{kind} of {layers_of([each for each, _ in found])} is {list(tensor.shape)}, config.json makes it "
            f"{_show_shape(wanted[kind])}",
            effect=EFFECT,
            remedy="the config that belongs to these weights",
        )


def _check_vocabulary(survey: Survey, g: Geometry) -> Iterator[Remark]:
    tied, heads = survey.config.get("tie_word_embeddings"), []
    embedded = False
    for name, tensor in survey.files.tensors.items():
        is_head = name == "lm_head.weight" or name.endswith(".lm_head.weight")
        heads += [name] if is_head else []
        embedded |= name.endswith("embed_tokens.weight")
        # packed bytes have half the columns: quant_tensors knows their arithmetic
        compared = (is_head or name.endswith("embed_tokens.weight")) and tensor.dtype in PLAIN
        if compared and not _fits_shape(tensor.shape, (g.vocabulary, g.hidden)):
            yield make_remark(
                "error",
                "shape",
                name,
                f"{name} is {list(tensor.shape)}, config.json makes it {_show_shape((g.vocabulary, g.hidden))}",
                effect=EFFECT,
                remedy="vocab_size and hidden_size of these weights",
            )
    if embedded and heads and tied is True:
        # vLLM 0.33.0 (deepseek_v32) and SGLang 0.5.23 (deepseek_v2.py:3288, one stage) build the head of the embedding.
        yield make_remark(
            "warning",
            "lm_head",
            heads[0],
            f"{heads[0]} is stored and tie_word_embeddings is true",
            effect="engines take the embedding for the head and leave the stored one out: GLM-5's are not the same",
            remedy="tie_word_embeddings: false",
        )
    # only where the embedding is there and tying is denied: a fragment lacks both
    if embedded and not heads and tied is False:
        yield make_remark(
            "error",
            "lm_head",
            "lm_head.weight",
            "there is no lm_head and tie_word_embeddings is false",
            effect="the head keeps its initial values: every token is noise",
            remedy="the shard with lm_head",
        )


def _fits_shape(shape: tuple[int, ...], wanted: Wanted) -> bool:
    return len(shape) == len(wanted) and all(w is None or w == s for s, w in zip(shape, wanted, strict=True))


def _show_shape(wanted: Wanted) -> str:
    return str([("any" if w is None else w) for w in wanted]).replace("'", "")


def _multiply(*factors: int | None) -> int | None:
    made = 1
    for factor in factors:
        if factor is None:
            return None
        made *= factor
    return made


def _add_known_counts(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b


def _moe_only(g: Geometry) -> Mapping[str, Wanted]:
    shared = _multiply(g.expert_width, g.shared_experts)
    return {
        "input_layernorm.weight": (g.hidden,),
        "post_attention_layernorm.weight": (g.hidden,),
        "mlp.gate.weight": (g.experts, g.hidden),
        "mlp.gate.e_score_correction_bias": (g.experts,),
        "mlp.up_proj.weight": (g.dense_width, g.hidden),
        "mlp.gate_proj.weight": (g.dense_width, g.hidden),
        "mlp.down_proj.weight": (g.hidden, g.dense_width),
        "mlp.experts.N.up_proj.weight": (g.expert_width, g.hidden),
        "mlp.experts.N.gate_proj.weight": (g.expert_width, g.hidden),
        "mlp.experts.N.down_proj.weight": (g.hidden, g.expert_width),
        "mlp.shared_experts.up_proj.weight": (shared, g.hidden),
        "mlp.shared_experts.gate_proj.weight": (shared, g.hidden),
        "mlp.shared_experts.down_proj.weight": (g.hidden, shared),
        "eh_proj.weight": (g.hidden, _multiply(g.hidden, 2)),
    }


def _per_layer(g: Geometry) -> Mapping[str, Wanted]:
    return {
        **_moe_only(g),
        "self_attn.q_a_proj.weight": (g.q_lora, g.hidden),
        "self_attn.q_a_layernorm.weight": (g.q_lora,),
        "self_attn.q_b_proj.weight": (_multiply(g.heads, _add_known_counts(g.nope, g.rope)), g.q_lora),
        "self_attn.kv_a_proj_with_mqa.weight": (_add_known_counts(g.kv_lora, g.rope), g.hidden),
        "self_attn.kv_a_layernorm.weight": (g.kv_lora,),
        "self_attn.kv_b_proj.weight": (_multiply(g.heads, _add_known_counts(g.nope, g.value_dim)), g.kv_lora),
        "self_attn.o_proj.weight": (g.hidden, _multiply(g.heads, g.value_dim)),
        "self_attn.indexer.wq_b.weight": (_multiply(g.index_heads, g.index_dim), g.q_lora),
        "self_attn.indexer.wk.weight": (g.index_dim, g.hidden),
        "self_attn.indexer.weights_proj.weight": (g.index_heads, g.hidden),
        "self_attn.indexer.k_norm.weight": (g.index_dim,),
    }
