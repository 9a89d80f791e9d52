"""A checkpoint directory as data: its JSON files and the headers of its shards, and what they say when held together.

No weights are read (8 bytes and a JSON header per shard), so a truncated download, a missing expert, a layer without
the indexer that the config promises or a quantisation map that names other modules is found before a 300 GB load.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from matrix.preflight.checkpoints import geometry
from matrix.preflight.checkpoints.attention_join import judge_attention_join
from matrix.preflight.checkpoints.constants import judge_constants
from matrix.preflight.checkpoints.declared import judge_declared
from matrix.preflight.checkpoints.dtypes import judge_dtypes
from matrix.preflight.checkpoints.files import CheckpointFiles, Shard, Tensor, Tokenizer
from matrix.preflight.checkpoints.fp8_claims import judge_fp8_claims
from matrix.preflight.checkpoints.layers import judge_layers
from matrix.preflight.checkpoints.moe import judge_experts
from matrix.preflight.checkpoints.quant_tensors import has_wide_shared_experts, judge_quantisation
from matrix.preflight.checkpoints.remark import list_some, make_remark
from matrix.preflight.checkpoints.rope import judge_rope
from matrix.preflight.checkpoints.shapes import judge_shapes
from matrix.preflight.checkpoints.shards import find_lost_shards, judge_files, judge_index, judge_shards
from matrix.preflight.checkpoints.sharing import judge_sharing
from matrix.preflight.checkpoints.survey import Survey
from matrix.preflight.checkpoints.template import judge_template
from matrix.preflight.checkpoints.tokens import judge_generation, judge_tokenizer
from matrix.preflight.verdict import Remark

__all__ = ["CheckpointFiles", "Facts", "Shard", "Tensor", "Tokenizer", "judge_checkpoint", "read_facts"]

CHECKS = (
    judge_files,
    judge_shards,
    judge_index,
    judge_layers,
    judge_experts,
    judge_sharing,
    judge_rope,
    judge_constants,
    judge_declared,
    judge_shapes,
    judge_dtypes,
    judge_quantisation,
    judge_fp8_claims,
    judge_attention_join,
    judge_tokenizer,
    judge_generation,
    judge_template,
)
# What a tensor that lies in a lost shard would set off: one lost shard is one error.
OF_WHOLE_WEIGHTS = (judge_layers, judge_experts, judge_sharing, judge_quantisation, judge_attention_join)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the files say the checkpoint is."""

    architecture: str
    layers: int
    mtp_layers: int
    experts: int
    quantised: Mapping[str, int]  # dtype -> bytes
    weights_bytes: int
    shared_experts_bf16: bool  # beside quantised routed experts: fusing them fails to load (sglang#29562)


def read_facts(files: CheckpointFiles) -> Facts:
    """Read the checkpoint as found, not as configured, wherever the headers can tell."""
    survey = Survey(files)
    sizes: Counter[str] = Counter()
    for tensor in files.tensors.values():
        sizes[tensor.dtype] += tensor.end - tensor.begin
    return Facts(
        architecture=survey.architecture_name,
        layers=survey.geometry.layers or 0,
        mtp_layers=len(survey.drafts),
        experts=max((len(found) for found in survey.experts.values()), default=0),
        quantised=dict(sizes),
        weights_bytes=files.weights_bytes,
        shared_experts_bf16=has_wide_shared_experts(survey),
    )


def judge_checkpoint(files: CheckpointFiles) -> tuple[Remark, ...]:
    """Everything that is wrong or worth knowing, in the order a loader would meet it. Never raises."""
    survey = Survey(files)
    # first: whatever else is said rests on files that are there
    found = list(judge_files(survey))
    if files.config is not None:
        found += [*survey.geometry.remarks, *geometry.find_contradictions(files.config)]
    lost = find_lost_shards(files)
    # judge_files has run already, and a config that cannot be read ends nothing: the headers still speak
    for check in CHECKS[1:]:
        found += () if lost and check in OF_WHOLE_WEIGHTS else check(survey)
    if lost:
        fact = f"layers, experts, indexers and formats were not judged: {list_some(lost)} cannot be read"
        found.append(make_remark("note", "not_judged", lost[0], fact))
    return tuple(found)
