"""What a release chooses by itself where a line leaves it open, out of the release's own table (`Snapshot.chosen`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from matrix.checking.settings import UNKNOWN
from matrix.preflight.snapshot import Snapshot

KV: Final = {
    "auto": "auto",
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "fp8": "fp8",
    "fp8_e4m3": "fp8",
}  # as vLLM asks
FORMATS: Final = ("fp8", "nvfp4", "bf16")  # whose MoE backends the table asks about
UNDECIDED: Final = ("undecided", "refused")


def add_chosen(facts: dict[str, Any], snapshot: Snapshot | None) -> None:
    """Add `moe` and vLLM's `attention` with the reason, where the line names none and the table has an answer."""
    if facts["engine"] == "vllm":
        facts["attention"] = facts["attention_backend"]
    # of a snapshot that is not complete the table may lack the very branch that decides
    if snapshot is None or not snapshot.chosen or not snapshot.complete:
        return
    architecture, sm = facts["architecture"], facts["sm"]
    table = snapshot.chosen
    if facts["moe_given"] in (None, "auto"):
        # SGLang's order differs where --quantization names FP4 itself: the table holds both answers
        named = " named" if facts["quantization"] in ("modelopt_fp4", "nvfp4") and facts["engine"] == "sglang" else ""
        _note_why(facts, "moe", table, f"{architecture} sm{sm} moe {facts['format']}{named}")
    # the table was asked with the dtypes of KV alone: for another one it has no answer, and none is made up
    if facts["engine"] == "vllm" and facts["attention_backend"] is None and facts["kv_given"] in KV:
        _note_why(facts, "attention", table, f"{architecture} sm{sm} {KV[facts['kv_given']]}")


def _note_why(facts: dict[str, Any], name: str, table: Mapping[str, str], key: str) -> None:
    found = table.get(key)
    if found is None:
        return
    undecided = found.startswith(UNDECIDED)
    # the choice stands in front, what goes with it in brackets: `trtllm, trtllm (fp8_e4m3)`
    facts[name] = UNKNOWN if undecided else found.partition(" (")[0]
    facts["why"][name] = f"this release's own order for {key.replace(' named', ', named on the line')}"
