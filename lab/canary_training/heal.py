"""Heal a pruned canary: routers and experts train for a few minutes, everything else stays.

The result is a delta: the changed tensors, which `glm-matrix canary make reap160` applies to the pruned
weights. Attention, indexers, norms and embeddings keep their bytes, so the family differs by one thing at a time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from fixtures.canary.calibration import read_calibration
from fixtures.canary.checkpoint import CheckpointDirectory
from fixtures.canary.derive.prune import kept_experts, prune_experts
from fixtures.canary.writing import write_checkpoint
from lab.canary_training.checkpoint import export_tensors, read_model, save_checkpoint
from lab.canary_training.evaluate import evaluate_model
from lab.canary_training.options import HF
from lab.canary_training.trunk import Log, TrunkSettings, train_trunk

DELTA = "delta.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """How the pruned model is evaluated before and after; `n=0` skips the evaluation."""

    n: int
    longest: int


def heal_checkpoint(keep: int, out: Path, settings: TrunkSettings, exam: Exam, log: Log) -> Path:
    """Write the healed checkpoint and the delta into `out`; return the path of the delta."""
    source = CheckpointDirectory(HF)
    kept = kept_experts(keep, read_calibration(source))
    for layer, experts in kept.items():
        log(f"layer {layer} keeps experts {' '.join(map(str, experts))}")
    write_checkpoint(out, source, prune_experts(source, kept))
    model = read_model(out).to(settings.device)
    # as stored, in bf16: a difference that rounding swallows is no part of the delta
    before = export_tensors(model)
    _run_exam("before healing", model, settings, exam, log)
    train_trunk(model, settings, out, log)
    log(f"healed, sha256 {save_checkpoint(model, out)}")
    delta = write_delta(before, export_tensors(model), out / DELTA, log)
    _run_exam("after healing", model, settings, exam, log)
    return delta


def write_delta(before: dict[str, Tensor], after: dict[str, Tensor], file: Path, log: Log) -> Path:
    """Write only the changed tensors, as a checkpoint stores them."""
    changed = {name: tensor for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    # the family's members differ by one thing at a time, which a moved norm would break without a sign
    if strangers := [name for name in changed if ".mlp." not in name]:
        raise AssertionError(f"healing changed more than the feed-forward layers: {strangers[:3]}")
    save_file(changed, file, metadata={"format": "pt"})
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    log(f"{file}: {len(changed)} of {len(after)} tensors, {file.stat().st_size / 1e6:.1f} MB, sha256 {digest}")
    return file


def _run_exam(when: str, model: torch.nn.Module, settings: TrunkSettings, exam: Exam, log: Log) -> None:
    if not exam.n:
        return
    log(f"evaluation {when}")
    scores = evaluate_model(model, settings.device, log, n=exam.n, longest=exam.longest)
    right, total = (sum(int(str(score[key])) for score in scores) for key in ("right", "total"))
    log(f"evaluation {when}: {right}/{total} items right over all tasks")
