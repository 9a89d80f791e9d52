"""config.json's numbers, each read once: flat or nested, in any of its spellings, and only if it is a count.

text_config.num_hidden_layers    a model with an image tower nests its language model
n_routed_experts, num_experts, num_local_experts    one number; two that differ are an error
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from matrix.preflight.checkpoints.remark import make_remark
from matrix.preflight.verdict import Remark

NESTED = ("text_config", "language_config", "llm_config")
LARGEST = 100_000_000  # no count of a config is larger; beyond it a number is no geometry
MOST_LAYERS = 10_000
MOST_EXPERTS = 100_000

# field of Geometry -> the keys that state it, the first one being the standard
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layers", "num_layers"),
    "mtp": ("num_nextn_predict_layers", "num_mtp_layers", "mtp_num_hidden_layers"),
    "experts": ("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts"),
    "top_k": ("num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_topk", "moe_top_k"),
    "shared_experts": ("n_shared_experts", "num_shared_experts"),
    "dense": ("first_k_dense_replace",),
    "groups": ("n_group", "num_expert_group"),
    "top_groups": ("topk_group",),
    "hidden": ("hidden_size",),
    "vocabulary": ("vocab_size",),
    "heads": ("num_attention_heads",),
    "q_lora": ("q_lora_rank",),
    "kv_lora": ("kv_lora_rank",),
    "nope": ("qk_nope_head_dim",),
    "rope": ("qk_rope_head_dim",),
    "value_dim": ("v_head_dim",),
    "index_heads": ("index_n_heads",),
    "index_dim": ("index_head_dim",),
    "index_topk": ("index_topk",),
    "expert_width": ("moe_intermediate_size",),
    "dense_width": ("intermediate_size",),
    "context": ("max_position_embeddings",),
}


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Counts as config.json states them; None where it does not, or states no count."""

    layers: int | None = None
    mtp: int | None = None
    experts: int | None = None
    top_k: int | None = None
    shared_experts: int | None = None
    dense: int | None = None
    groups: int | None = None
    top_groups: int | None = None
    hidden: int | None = None
    vocabulary: int | None = None
    heads: int | None = None
    q_lora: int | None = None
    kv_lora: int | None = None
    nope: int | None = None
    rope: int | None = None
    value_dim: int | None = None
    index_heads: int | None = None
    index_dim: int | None = None
    index_topk: int | None = None
    expert_width: int | None = None
    dense_width: int | None = None
    context: int | None = None
    remarks: tuple[Remark, ...] = field(default=(), compare=False)

    @property
    def whole(self) -> bool:
        """Whether this is a real config: of a fragment nothing that it leaves out can be held against it."""
        return self.hidden is not None


def merge_nested(config: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the language model's config: nested keys override outer ones."""
    inner = nested_in(config)
    return {**config, **inner}


def nested_in(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = [config[key] for key in NESTED if isinstance(config.get(key), Mapping)]
    return found[0] if found else {}


def read_geometry(config: Mapping[str, Any]) -> Geometry:
    """Read the counts of a merged config, with a remark for each invalid one."""
    remarks: list[Remark] = []
    found = {name: _read_number(config, keys, remarks) for name, keys in SPELLINGS.items()}
    # a field without a spelling would be None for every checkpoint, and the checks of it silent
    assert set(found) == {f.name for f in fields(Geometry)} - {"remarks"}
    for name, most in (("layers", MOST_LAYERS), ("mtp", MOST_LAYERS), ("experts", MOST_EXPERTS)):
        if (found[name] or 0) > most:
            remarks.append(_no_count(SPELLINGS[name][0], found[name], f"at most {most:,}"))
            # they size loops and sets: a config of 10**8 layers would hang the linter instead of being refused
            found[name] = None
    return Geometry(**found, remarks=tuple(remarks))


def _read_number(config: Mapping[str, Any], keys: tuple[str, ...], remarks: list[Remark]) -> int | None:
    stated = {key: config[key] for key in keys if config.get(key) is not None}
    counts = {}
    for key, value in stated.items():
        # true is an int to Python, and "78" a text that some readers convert and others do not
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
            remarks.append(_no_count(key, value))
        else:
            counts[key] = value
    if len(set(counts.values())) > 1:
        said = " and ".join(f"{key} {value}" for key, value in counts.items())
        remarks.append(
            make_remark(
                "error",
                "spelling",
                next(iter(counts)),
                f"config.json states one number twice: {said}",
                effect="each engine reads one of them, so one loads another model than the next",
                remedy=f"keep {next(iter(counts))} alone",
            )
        )
    # the standard spelling stands first; where two differ the remark above is an error already
    return next(iter(counts.values()), None)


def _no_count(key: str, value: object, wanted: str = "a count") -> Remark:
    shown = repr(value)[:60] if not isinstance(value, int) or abs(value) < 10**60 else "a huge number"
    return make_remark(
        "error",
        "config",
        key,
        f"config.json: {key}: expected {wanted}, got {shown}",
        effect="the engine stops while it reads the config, or builds another model",
        remedy=f"write {key} as a number",
    )


def find_contradictions(config: Mapping[str, Any]) -> Iterator[Remark]:
    """Find what config.json states both outside and inside its nested language model, differently."""
    inner = nested_in(config)
    keys = {key for names in SPELLINGS.values() for key in names}
    keys |= {"indexer_types", "index_topk_pattern", "index_topk_freq", "index_skip_topk_offset", "rope_theta"}
    for key in sorted(keys & set(inner) & set(config)):
        if inner[key] != config[key]:
            yield make_remark(
                "error",
                "spelling",
                key,
                f"config.json states {key} twice, outside and in its nested config, differently",
                effect="engines that flatten the config and engines that do not build different models",
                remedy="state it in the nested config alone",
            )
