"""Ranks of a line: how many, on how many hosts, on which GPUs, and how many heads one has."""

from __future__ import annotations

from typing import Any, Final

from matrix.checking.settings import UNKNOWN

SIZES: Final = ("tp", "pp", "dp", "ep", "nodes")


def add_layout_facts(facts: dict[str, Any]) -> None:
    """Ranks, and heads of one rank, where the sizes are known."""
    tp, pp, dp, heads = facts["tp"], facts["pp"], facts["dp"], facts["heads"]
    sizes = [facts[name] for name in SIZES]
    facts["ranks_below_one"] = any(isinstance(n, int) and n < 1 for n in sizes)
    numbers = [n for n in (tp, pp, dp) if not isinstance(n, int)]
    if numbers:
        facts.update(ranks=UNKNOWN, heads_per_rank=UNKNOWN, host_ranks=UNKNOWN)
        return
    # vLLM's prefill context parallelism takes ranks of its own; SGLang's is cut out of tp
    per_replica = tp * pp * (facts["pcp"] if facts["engine"] == "vllm" and isinstance(facts["pcp"], int) else 1)
    # SGLang's attention replicas share the tp ranks; vLLM's replicas each bring their own
    inside = facts["engine"] == "sglang" and facts["dp_attention"]
    local = facts["option"].get("--data-parallel-size-local")
    alone = facts["engine"] == "vllm" and facts["dp_rank"] is not None  # one replica, balanced from outside
    many = 1 if alone else int(local) if isinstance(local, str) and local.isdigit() else dp
    facts["stage_ranks"] = tp * pp
    facts["ranks"] = per_replica * (1 if inside else many)
    nodes = facts["nodes"]
    # rounded up: the fullest host decides whether its GPUs are enough
    facts["host_ranks"] = -(-facts["ranks"] // nodes) if isinstance(nodes, int) and nodes > 0 else UNKNOWN
    base, step, here = facts["base_gpu"], facts["gpu_step"], facts["host_ranks"]
    if isinstance(base, int) and isinstance(step, int) and isinstance(here, int):
        facts.update(last_gpu=base + (here - 1) * step, gpus_moved=base > 0 or step > 1)
    _add_expert_ranks(facts, tp * dp * (per_replica // (tp * pp) if tp * pp else 1))
    attention_tp = max(tp // dp, 1) if inside and dp > 0 else tp
    facts["attention_tp"] = attention_tp
    facts["heads_per_rank"] = heads // attention_tp if isinstance(heads, int) and attention_tp > 0 else UNKNOWN
    facts["heads_divide"] = heads % attention_tp == 0 if isinstance(heads, int) and attention_tp > 0 else UNKNOWN


def _add_expert_ranks(facts: dict[str, Any], all_ranks: int) -> None:
    """Add over how many ranks the routed experts are spread, and how many there are with their copies."""
    spread = {"vllm": {True: all_ranks, UNKNOWN: UNKNOWN}.get(facts["expert_parallel"], 1)}.get(
        facts["engine"], facts["ep"]
    )
    nested, option = facts["nested"], facts["option"]
    copies = (
        nested.get("eplb_config.num_redundant_experts", 0)
        if facts["engine"] == "vllm"
        else option.get("--ep-num-redundant-experts", "0")
    )
    count, experts = str(copies), facts["experts"]
    known = count.isdigit() and isinstance(experts, int)
    facts.update(expert_ranks=spread, physical_experts=experts + int(count) if known else UNKNOWN)
