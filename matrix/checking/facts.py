"""What a command amounts to: one flat table of facts, over which checks.yaml speaks. See docs/reference/check.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from matrix.checking.attention_weights import add_attention_weights
from matrix.checking.chosen import add_chosen
from matrix.checking.launchers import Command
from matrix.checking.layout import add_layout_facts
from matrix.checking.model_config import Model
from matrix.checking.releases import TITLES, AskedRelease
from matrix.checking.rigs import Host
from matrix.checking.rules import derive_facts, read_book, read_checks, settle_values
from matrix.checking.settings import UNKNOWN, Settings, read_kinds
from matrix.checking.sharing import KEYS, read_sharing, stage_starts
from matrix.checking.weight_blocks import add_block_facts
from matrix.preflight.checkpoints.architectures import ARCHITECTURES
from matrix.preflight.environment import name_today
from matrix.preflight.guards import read_guards
from matrix.preflight.snapshot import Snapshot

DENSE_BACKENDS: Final = frozenset(
    {
        "triton",
        "flashinfer",
        "fa3",
        "fa4",
        "flashmla",
        "cutlass_mla",
        "trtllm_mla",
        "torch_native",
        "flex_attention",
        "tokenspeed_mla",
        "cutedsl_mla",
    }
)
MTP_METHODS: Final = frozenset(
    {"mtp", "deepseek_mtp", "glm_moe_dsa_mtp", "glm4_moe_mtp", "glm5_mtp", "NEXTN", "EAGLE", "FROZEN_KV_MTP", "MTP"}
)
PRODUCTS: Final = {
    "ep_times_moe_dp": ("ep", "moe_dp"),
    "groups_times_pcp": ("attn_groups", "pcp"),
    "spread_ranks": ("tp", "pp", "dp"),
}
LORAS: Final = 8  # max_loras_per_batch of SGLang where the line does not say
DSA: Final = frozenset(name for name, about in ARCHITECTURES.items() if about.dsa)


class PartlyRead(dict[str, Any]):
    """An environment of which a file is missing: a name that is not seen may still be set."""

    def get(self, key: str, default: Any = None) -> Any:
        # "the variable is not set" must not be concluded from a file that nobody read
        return super().get(key, UNKNOWN if default is None else default)


def collect_facts(
    command: Command,
    release: AskedRelease,
    model: Model,
    settings: Settings,
    *,
    host: Host | None = None,
    installed: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
    dense: bool = False,
) -> dict[str, Any]:
    """Collect everything that a condition can ask for. Absent: None; not to be told: UNKNOWN.

    `dense`: a patch takes sparse attention out, whatever the line names.
    """
    snapshot, installed = release.snapshot, installed or {}
    facts: dict[str, Any] = {name: settings.value(name) for name in read_kinds()}
    facts.update(
        engine=command.engine,
        version=release.version or UNKNOWN,
        fork=release.fork,
        complete=bool(snapshot and snapshot.complete),
    )
    facts["image"] = command.image.text if command.image is not None and command.image.known else None
    facts["title"], facts["why"] = TITLES[command.engine], {}
    # every option under each of its names, for checks about flags that settings.yaml has no name for
    facts["option"] = settings.options
    env = {name: word.text if word.known else UNKNOWN for name, word in command.env.items()}
    env |= {today: text for name, text in env.items() if (today := name_today(name, command.engine)) != name}
    facts["env"] = PartlyRead(env) if command.unread_env else env
    facts["pins"] = _collect_pins(snapshot, installed)
    facts["installed"] = frozenset(installed)
    facts.update(_read_host_facts(host))
    # the order counts from here on: the file replaces settings, attention decides `dense`, and the draft reads both
    _from_trtllm_file(facts, extra)
    _attention(facts)
    facts["dense"] = dense or facts["dense"]
    _draft(facts)
    overrides = facts["overrides"] if isinstance(facts["overrides"], dict) else {}
    facts["override_keys"] = UNKNOWN if facts["overrides"] is UNKNOWN else frozenset(overrides)
    config = {**model.config, **overrides}
    facts["config"], facts["file_config"] = config, model.config
    facts["config_given"] = model.given
    # by the class after overrides: --hf-overrides may name another one, whose code reads other keys
    facts["keys_read"] = _keys_read(snapshot, str(config["architectures"][0]))
    _model(facts, model, config)
    # SGLang asks for the class, and not for the backend, in its guards and for its pool; a patch changes the class
    facts["dsa_class"] = facts["dsa"] and not dense
    _add_group_facts(facts)
    facts["guards"] = _guards_of(release)
    facts["nested"] = _nested(settings)
    # first what the release puts in place of the line's values, then what it chooses: its choices see the former
    settle_values(facts, read_checks(command.engine))
    add_chosen(facts, snapshot)
    derive_facts(facts, read_book().derived)
    # last, since pairs, ranks and sharing are made of values that only the steps above have settled
    _pairs(facts)
    add_layout_facts(facts)
    add_block_facts(facts, model, config)
    _sharing(facts, config, command.engine)
    return facts


def _keys_read(snapshot: Snapshot | None, architecture: str) -> frozenset[str]:
    """Keys of config.json that the release's own text reads for this class; empty where that was not read."""
    if snapshot is None:
        return frozenset()
    return snapshot.config_keys.get("*", frozenset()) | snapshot.config_keys.get(architecture, frozenset())


def _add_group_facts(facts: dict[str, Any]) -> None:
    """Add what guards compare: groups of attention data parallelism, KV tiers, adapters, products of sizes."""
    dp, attn_dp = facts["dp"], facts["attn_dp"]
    groups = attn_dp if isinstance(attn_dp, int) and attn_dp > 1 else dp if facts["dp_attention"] is True else 1
    facts["attn_groups"] = UNKNOWN if UNKNOWN in (dp, attn_dp, facts["dp_attention"]) else groups
    tiers = ("hicache", "hisparse", "lmcache", "external_linker")
    facts["tiers"] = frozenset(name for name in tiers if facts[name] is True)
    facts["adapters"] = any(facts[name] not in (None, False) for name in ("lora", "lora_paths"))
    batched = facts["max_loras"] if facts["max_loras"] is not None else LORAS
    facts["adapters_twice"] = 2 * batched if isinstance(batched, int) else UNKNOWN
    named = [facts[n] for n in ("attention_backend", "prefill_attention_backend", "decode_attention_backend")]
    facts["attention_named"] = UNKNOWN if UNKNOWN in named else frozenset(n for n in named if n is not None)
    seqs, tokens = facts["max_seqs"], facts["draft_tokens"]
    if isinstance(seqs, int) and isinstance(tokens, int):
        facts["draft_batch"] = seqs * (tokens + 1)
    chunk = facts["chunked_prefill"]
    if isinstance(chunk, int) and isinstance(groups, int) and groups > 1:
        facts["chunk_per_group"] = chunk // groups
    for name, factors in PRODUCTS.items():
        sizes = [facts[n] for n in factors]
        facts[name] = math.prod(sizes) if all(isinstance(n, int) for n in sizes) else UNKNOWN


def _guards_of(release: AskedRelease) -> Any:
    """Return the guards of the release's argument code; UNKNOWN for a fork and for a release that was not read."""
    # a fork may have changed the very code that guards; a local part (+cu130) has not
    found = None if release.fork else read_guards(release.engine).held_by(release.version.partition("+")[0])
    return UNKNOWN if found is None else found


def _nested(settings: Settings) -> Mapping[str, Any]:
    """Entries of the line's JSON values by dotted names: `spec.method`, `kv_transfer.kv_role`."""
    values = {name: settings.value(name) for name, kind in read_kinds().items() if kind.type == "json"}
    found = dict(
        entry for name, value in values.items() if isinstance(value, Mapping) for entry in _flatten(value, f"{name}.")
    )
    # a JSON value that holds an unset variable may have any entry
    return PartlyRead(found) if UNKNOWN in values.values() else found


def _collect_pins(snapshot: Snapshot | None, installed: Mapping[str, str]) -> dict[str, str]:
    """Exact versions: the release's own pins, and what is installed beside them, which wins."""
    own = {
        name: spec.removeprefix("==")
        for name, spec in (snapshot.pins.items() if snapshot else ())
        # a range pins nothing: which version pip took is only known where --installed says so
        if spec.startswith("==") and "," not in spec
    }
    return {**own, **installed}


def _read_host_facts(host: Host | None) -> dict[str, Any]:
    if host is None:
        return {"sm": UNKNOWN, "gpus": UNKNOWN, "fabric": UNKNOWN, "gpu": UNKNOWN, "sm_family": UNKNOWN}
    return {
        "sm": host.sm,
        "gpus": host.gpus,
        "fabric": host.fabric or UNKNOWN,
        "gpu": host.name or f"SM{host.sm}",
        "sm_family": host.sm // 10,
    }


def _from_trtllm_file(facts: dict[str, Any], extra: Mapping[str, Any] | None) -> None:
    """Add the nested YAML of trtllm-serve: by dotted names under `file`, and the settings that have a name here.

    A file that could not be read leaves all that it may set unknown.
    """
    flat = dict(_flatten(extra or {}))
    facts["file"] = UNKNOWN if extra is None else flat
    if extra is None and facts["engine"] == "trtllm":
        # None would say that the file does not set them, and checks of defaults would apply
        facts.update(dict.fromkeys(("block_reuse", "host_cache", "kv_given", "moe_given", "spec"), UNKNOWN))
        return
    for key, name in (
        ("tensor_parallel_size", "tp"),
        ("pipeline_parallel_size", "pp"),
        ("moe_expert_parallel_size", "ep"),
        ("kv_cache_config.dtype", "kv_given"),
        ("moe_config.backend", "moe_given"),
        ("max_seq_len", "context_given"),
        ("max_num_tokens", "batched_tokens"),
        ("context_parallel_size", "pcp"),
    ):
        if key in flat:
            facts[name] = flat[key]
    if (kind := flat.get("speculative_config.decoding_type")) is not None:
        tokens = flat.get(
            "speculative_config.max_draft_len", flat.get("speculative_config.num_nextn_predict_layers", 1)
        )
        facts["spec"] = {"method": str(kind), "num_speculative_tokens": tokens}
    # on by default in TensorRT-LLM, so silence means True there and nothing elsewhere
    facts["block_reuse"] = flat.get("kv_cache_config.enable_block_reuse", True) if facts["engine"] == "trtllm" else None
    facts["host_cache"] = bool(flat.get("kv_cache_config.host_cache_size"))


def _flatten(value: Mapping[str, Any], prefix: str = "", depth: int = 0) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, entry in value.items():
        # a stranger's file: deeper than any class of the engine nests, it is kept as a value
        if isinstance(entry, Mapping) and depth < 5:
            found.append((f"{prefix}{key}", entry))  # whole, too, for conditions over its keys and values
            found += _flatten(entry, f"{prefix}{key}.", depth + 1)
        else:
            found.append((f"{prefix}{key}", entry))
    return found


def _attention(facts: dict[str, Any]) -> None:
    """Whether the line names a dense backend, which takes sparse attention out."""
    named = [
        facts[n]
        for n in ("attention_backend", "prefill_attention_backend", "decode_attention_backend")
        if facts[n] is not None
    ]
    nested = facts["attention_config"]
    if isinstance(nested, dict) and isinstance(nested.get("backend"), str):
        named.append(nested["backend"])
        # --attention-config says the same as the flag; the flag, where both are given, is what the line shows
        facts["attention_backend"] = facts["attention_backend"] or nested["backend"]
    facts["dense"] = (
        UNKNOWN
        if UNKNOWN in named
        else facts["engine"] == "sglang" and any(str(n).lower() in DENSE_BACKENDS for n in named)
    )


def _spec_of_flags(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Collect vLLM's short flags, which stand for entries of --speculative-config."""
    keys = {"spec_method": "method", "spec_model": "model", "spec_tokens": "num_speculative_tokens"}
    return {key: facts[name] for name, key in keys.items() if facts[name] is not None}


def _draft(facts: dict[str, Any]) -> None:
    """Add the draft: whether there is one, which kind, and how many tokens it proposes."""
    if facts["spec"] is None and (parts := _spec_of_flags(facts)):
        facts["spec"] = parts
    spec = facts["spec"]
    if spec is UNKNOWN or facts["draft_algorithm"] is UNKNOWN:
        # something is given, so there is a draft; which one, nobody can tell
        facts.update(draft=True, draft_kind=UNKNOWN, draft_tokens=UNKNOWN)
        return
    if isinstance(spec, dict):
        method = str(spec.get("method") or ("draft_model" if spec.get("model") else ""))
        tokens = spec.get("num_speculative_tokens")
        facts["draft_moe_given"] = facts["draft_moe_given"] or spec.get("moe_backend")
    else:
        method, tokens = str(facts["draft_algorithm"] or ""), facts["draft_tokens_given"]
        if method and tokens is None and isinstance(facts["draft_steps"], int):
            # SGLang's own default: a chain of steps, and the token that the target adds
            tokens = facts["draft_steps"] + 1
    facts["draft"] = bool(method) and method.lower() != "none"
    facts["draft_kind"] = (
        # with weights of its own EAGLE is a draft model; without, it is the checkpoint's MTP layer
        None if not facts["draft"] else "mtp" if method in MTP_METHODS and not facts["draft_model"] else method.lower()
    )
    facts["draft_method"] = method or None
    numbers = ("draft_steps", "draft_topk", "draft_tokens_given")
    facts["draft_numbers"] = frozenset(n for n in numbers if facts[n] is not None) or None
    facts["draft_tokens"] = tokens if isinstance(tokens, int) and not isinstance(tokens, bool) else None
    if facts["engine"] == "vllm" and facts["draft"] and isinstance(facts["draft_tokens"], int):
        facts["verified"] = facts["draft_tokens"] + 1  # the target's own token is verified with the proposed ones
    if isinstance(facts["dspark_block"], int):
        facts["dspark_window"] = facts["dspark_block"] + 1
    if isinstance(facts["draft_steps"], int):
        facts["steps_plus_one"] = facts["draft_steps"] + 1


def _model(facts: dict[str, Any], model: Model, config: Mapping[str, Any]) -> None:
    architecture = str(config["architectures"][0])
    facts.update(
        architecture=architecture,
        family=model.family or UNKNOWN,
        format=model.format or UNKNOWN,
        dsa=architecture in DSA,
    )
    # a dense backend runs the class without selecting: checks about the indexer do not apply
    facts["sparse"] = UNKNOWN if facts["dense"] is UNKNOWN else facts["dsa"] and not facts["dense"]
    for name, key in (
        ("layers", "num_hidden_layers"),
        ("heads", "num_attention_heads"),
        ("experts", "n_routed_experts"),
        ("model_context", "max_position_embeddings"),
        ("topk", "index_topk"),
        ("rope_dims", "qk_rope_head_dim"),
    ):
        value = config.get(key)
        facts[name] = value if isinstance(value, int) and not isinstance(value, bool) else UNKNOWN
    mtp = config.get("num_nextn_predict_layers")
    facts["mtp_layers"] = mtp if isinstance(mtp, int) else UNKNOWN
    facts["indexers_everywhere"] = model.indexers_everywhere or UNKNOWN
    facts["thinks_always"] = model.thinks_always
    # auto takes the config's own, whose key transformers renamed
    facts["model_dtype"] = (
        facts["dtype"] if facts["dtype"] not in (None, "auto") else config.get("torch_dtype", config.get("dtype"))
    )
    quantization = config.get("quantization_config")
    facts["config_quantization"] = (
        # a config.json without the key is unquantised; without a config.json nobody knows
        quantization.get("quant_method") if isinstance(quantization, Mapping) else UNKNOWN if not model.given else None
    )
    add_attention_weights(facts, model, config)
    # the flag makes the engine read NVFP4; the config, where there is one, has the last word
    if facts["quantization"] in ("modelopt_fp4", "nvfp4") and facts["format"] is UNKNOWN:
        facts["format"] = "nvfp4"
    context, tokens = facts["context_given"], facts["draft_tokens"]
    facts["context"] = context if context is not None else facts["model_context"]
    if isinstance(context, int) and isinstance(tokens, int):
        facts["context_and_draft"] = context + tokens


def _pairs(facts: dict[str, Any]) -> None:
    """Facts of two values at once, which no condition over one could ask for."""
    pair = (facts.get("dsa_prefill"), facts.get("dsa_decode"))
    # a dense launch has no pair of sparse backends, whatever else is not known of it
    open_pair = UNKNOWN in pair and facts["sparse"] is not False
    chosen = frozenset(b for b in pair if isinstance(b, str)) if facts["sparse"] is True else frozenset()
    facts["backends"] = UNKNOWN if open_pair else chosen
    facts["mixed_tilelang"] = UNKNOWN if open_pair else "tilelang" in pair and pair[0] != pair[1]
    named = [n for n in (facts["dsa_prefill_given"], facts["dsa_decode_given"]) if isinstance(n, str)]
    facts["named_other_than_trtllm"] = any(n != "trtllm" for n in named)
    chunk, page = facts["chunked_prefill"], facts.get("page")
    page = int(page) if isinstance(page, str) and page.isdigit() else page
    facts["page"] = page
    if (
        isinstance(chunk, int)
        and isinstance(page, int)
        and chunk > 0
        and page > 0
        # SGLang divides the given chunk among groups of attention first: before that no rest of a page can be told
        and ("chunked_prefill" in facts["why"] or facts["attn_groups"] == 1)
    ):
        facts["chunk_rest"] = chunk % page
    sizes = [facts[n] for n in ("tp", "pcp", "dcp")]
    if all(isinstance(n, int) for n in sizes):
        facts["dcp_spans_all"] = sizes[2] == sizes[0] * sizes[1]
    tokens = facts["batched_tokens"]
    if isinstance(tokens, int):
        facts["scratch_gib"] = round(2 * tokens * 64 * 512 * 4 / 2**30, 1)  # vllm#53413: padded heads x latent x fp32


def _sharing(facts: dict[str, Any], config: Mapping[str, Any], engine: str) -> None:
    """Which layers share, as this release reads the config, and whether a pipeline stage begins on one."""
    found = facts.get("sharing_keys")
    keys = tuple(found) if isinstance(found, list) else KEYS
    # with the keys that this release reads: another one's key in the config shares nothing here
    sharing = read_sharing(config, keys) if facts["sparse"] is True else None
    if facts["overrides"] is UNKNOWN:
        facts.update(shares=UNKNOWN, stage_edges=UNKNOWN, indexer_layers=UNKNOWN, sharing_by=UNKNOWN)
        return
    facts["shares"] = bool(sharing and sharing.shared)
    facts["indexer_layers"] = sharing.full if sharing else None
    facts["sharing_by"] = sharing.by if sharing else None
    facts["stage_edges"] = None
    pp = facts["pp"]
    if sharing is None or not isinstance(pp, int) or pp < 2 or pp > sharing.layers:
        return
    name = "SGLANG_PP_LAYER_PARTITION" if engine == "sglang" else "VLLM_PP_LAYER_PARTITION"
    partition = facts["env"].get(name, "")
    starts = None if partition is UNKNOWN else stage_starts(sharing.layers, pp, engine=engine, partition=partition)
    facts["partition_fits"] = starts is not None or partition is UNKNOWN
    if starts is not None:
        edges = tuple(start for start in starts if start in sharing.shared)
        facts["stage_edges"], facts["stage_starts"] = edges or None, starts
