"""Train the language model itself: dense attention, next-token loss, frozen indexers.

MTP is frozen too, unless `mtp_share` gives its loss a part: then the trunk learns to carry what MTP needs to look
ahead.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  torch's own spelling
from torch import Tensor

from lab.canary_training.attention import Pass
from lab.canary_training.checkpoint import save_checkpoint
from lab.canary_training.layers import MoE
from lab.canary_training.model import Canary, LanguageModel
from lab.canary_training.options import TOKENS_PER_BATCH
from lab.canary_training.precision import autocast, compute_dtype
from lab.canary_training.samples import TRUNK_PLAN, Batches, Plan, make_loader

Log = Callable[[str], None]
WARMUP_STEPS = 150
DECAY_FROM = 0.55  # of the run; constant before
LOWEST_LR = 0.03  # of the peak


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkSettings:
    steps: int
    learning_rate: float
    seed: str = "trunk"
    plan: Plan = TRUNK_PLAN
    mtp_share: float = 0.0  # of MTP's loss in the sum
    moe_only: bool = False  # routers and experts learn, all else stays: healing after pruning
    seconds: float = math.inf  # the run ends then, with its schedule, if the steps have not
    tokens: int = TOKENS_PER_BATCH
    longest: int = 32768
    workers: int = 13
    device: str = "cuda"
    log_every: int = 500
    save_every: int = 4000


def train_trunk(model: Canary, settings: TrunkSettings, out: Path, log: Log) -> None:
    parameters = _select_trainable(model, settings)
    optimizer = make_adamw(parameters, settings.learning_rate, weight_decay=0.05)
    batches = Batches(settings.seed, settings.steps, settings.plan, tokens=settings.tokens, longest=settings.longest)
    # by row length: a mean over all would only show which lengths the plan drew
    losses: dict[int, list[Tensor]] = defaultdict(list)
    model.train()
    begin = time.monotonic()
    for step, (cpu_ids, cpu_weights) in enumerate(
        make_loader(batches, workers=settings.workers, device=settings.device)
    ):
        # whichever ends first also drives the rate: a run cut by time has come down, too
        progress = max(step / settings.steps, (time.monotonic() - begin) / settings.seconds)
        if progress >= 1:
            log(f"trunk stops at {step} of {settings.steps} steps: its {settings.seconds:.0f} s are over")
            break
        ids, weights = to_device((cpu_ids, cpu_weights), settings.device)
        set_rate(optimizer, settings.learning_rate * scale_rate(step, progress))
        with autocast(settings.device):
            hidden = model(ids, dtype=compute_dtype(settings.device))
        loss = weighted_loss(model, hidden[:, :-1], ids[:, 1:], weights[:, 1:])
        total = loss + settings.mtp_share * mtp_loss(model, ids, weights, hidden) if settings.mtp_share else loss
        step_optimizer(optimizer, total, parameters)
        losses[ids.shape[1]].append(loss.detach())
        if (step + 1) % settings.log_every == 0 or step == 9:
            log(f"trunk {step + 1}/{settings.steps} {time.monotonic() - begin:.0f}s loss {format_means(losses)}")
            losses.clear()
        if (step + 1) % settings.save_every == 0:
            save_checkpoint(model, out)


def weighted_loss(model: LanguageModel, hidden: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    with autocast(hidden.device.type):
        logits = model.lm_head(hidden)
    losses = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    # by weight, not by count: a batch of long prompts must not shout down its few replies
    return (losses * weights.flatten()).sum() / weights.sum().clamp(min=1)


def mtp_loss(model: Canary, ids: Tensor, weights: Tensor, hidden: Tensor, run: Pass | None = None) -> Tensor:
    with autocast(ids.device.type):
        drafted = model.draft(ids, hidden, run)
    # two ahead: MTP's row t has seen token t + 1
    return weighted_loss(model, drafted[:, :-1], ids[:, 2:], weights[:, 2:])


def to_device(batch: tuple[Tensor, Tensor], device: str) -> tuple[Tensor, Tensor]:
    ids, weights = batch
    return ids.to(device, non_blocking=True), weights.to(device, non_blocking=True)


def make_adamw(parameters: list[torch.nn.Parameter], rate: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW without decay on norms and biases."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=parameters[0].is_cuda)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def step_optimizer(optimizer: torch.optim.Optimizer, loss: Tensor, parameters: Iterable[torch.nn.Parameter]) -> None:
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _select_trainable(model: Canary, settings: TrunkSettings) -> list[torch.nn.Parameter]:
    of_moe = {name for name, module in model.named_modules() if isinstance(module, MoE)}
    for name, parameter in model.named_parameters():
        learns = ".indexer." not in name and (settings.mtp_share > 0 or not name.startswith("mtp."))
        chosen = not settings.moe_only or any(name.startswith(f"{moe}.") for moe in of_moe)
        parameter.requires_grad_(learns and chosen)
    return [p for p in model.parameters() if p.requires_grad]


def scale_rate(step: int, progress: float) -> float:
    left = (1 - progress) / (1 - DECAY_FROM)
    return min(1.0, (step + 1) / WARMUP_STEPS) * max(LOWEST_LR, min(1.0, left))


def format_means(losses: dict[int, list[Tensor]]) -> str:
    return " ".join(f"{length}:{torch.stack(ls).mean().item():.3f}" for length, ls in sorted(losses.items()))
