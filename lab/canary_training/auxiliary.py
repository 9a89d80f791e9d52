"""Train the sparse indexers and the multi-token-prediction layer on a finished, frozen trunk.

An indexer learns to rank keys as its layer's attention does (KL to the head-averaged attention). Layers 1 to N-2 aim
at the mean of their own and the next layer's attention: so layer 2 can share layer 1's selection (IndexCache FFSS),
while layer 0, which sees no context, has nothing that layer 1 could use (FSFS destroys retrieval). The canary tells
the two apart, and must go on doing so.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.canary_training.attention import Indexer, Pass, Trace
from lab.canary_training.model import Canary
from lab.canary_training.options import TOKENS_PER_BATCH
from lab.canary_training.samples import AUXILIARY_PLAN, Batches, make_loader
from lab.canary_training.trunk import Log, make_adamw, mtp_loss, set_rate, step_optimizer, to_device

QUERIES_PER_ROW = 256
ATTENTION_ELEMENTS = 1 << 28  # batch x queries x heads x keys held at once
# not -inf: its product with a target of 0 would be NaN in the gradient
MASKED = -1e30
WARMUP_STEPS = 50
LOWEST_LR = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class AuxiliarySettings:
    steps: int
    learning_rate: float = 1e-3
    seed: str = "auxiliary"
    tokens: int = TOKENS_PER_BATCH // 2
    longest: int = 32768
    workers: int = 13
    device: str = "cuda"
    log_every: int = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """The rows of the batch, and their query positions, that the indexers learn from."""

    rows: Tensor  # [rows]
    queries: Tensor  # [rows, queries]


def train_auxiliary(model: Canary, settings: AuxiliarySettings, log: Log) -> None:
    parameters = _select_trainable(model)
    optimizer = make_adamw(parameters, settings.learning_rate, weight_decay=0.0)
    plan = AUXILIARY_PLAN
    batches = Batches(settings.seed, settings.steps, plan, tokens=settings.tokens, longest=settings.longest)
    history: list[Tensor] = []
    # the trunk's routers must not move their correction bias while it is frozen
    model.eval()
    model.mtp.train()  # its router still balances
    begin = time.monotonic()
    for step, batch in enumerate(make_loader(batches, workers=settings.workers, device=settings.device)):
        ids, weights = to_device(batch, settings.device)
        set_rate(optimizer, settings.learning_rate * _scale_rate(step, settings.steps))
        losses = _compute_losses(model, ids, weights)
        step_optimizer(optimizer, losses.sum(), parameters)
        history.append(losses.detach())
        if (step + 1) % settings.log_every == 0 or step == 9:
            mtp, *kls = torch.stack(history).mean(0).tolist()
            said = " ".join(f"{kl:.3f}" for kl in kls)
            elapsed = time.monotonic() - begin
            log(f"auxiliary {step + 1}/{settings.steps} {elapsed:.0f}s mtp {mtp:.3f} kl by layer {said}")
            history.clear()


def _select_trainable(model: Canary) -> list[torch.nn.Parameter]:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".indexer." in name or name.startswith("mtp."))
    return [p for p in model.parameters() if p.requires_grad]


def _scale_rate(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / WARMUP_STEPS) * max(LOWEST_LR, min(1.0, 1.5 * (1 - step / steps)))


def _compute_losses(model: Canary, ids: Tensor, weights: Tensor) -> Tensor:
    """Return MTP's cross entropy, then each indexer's KL."""
    run = Pass(traces=[])
    # no graph through the trunk: it is frozen, and its activations would be most of the memory
    with torch.autocast(ids.device.type, torch.bfloat16), torch.no_grad():
        hidden = model(ids, run)
    mtp = mtp_loss(model, ids, weights, hidden, run)
    traces = run.traces or []
    lesson = choose_lesson(ids, weights)
    with torch.no_grad():
        attended = [average_attention(trace, lesson) for trace in traces]
    indexers = [layer.self_attn.indexer for layer in [*model.layers, model.mtp]]
    last = len(model.layers) - 1
    kls = []
    for i, (indexer, trace) in enumerate(zip(indexers, traces, strict=True)):
        # the last layer and MTP have nothing below that could share their selection
        target = (attended[i] + attended[i + 1]) / 2 if 1 <= i < last else attended[i]
        kls.append(_compute_divergence(model, indexer, trace, lesson, target))
    return torch.stack([mtp, *kls])


def choose_lesson(ids: Tensor, weights: Tensor) -> Lesson:
    """Choose positions that predict replies first, the rest at random; as many rows as memory allows."""
    batch, length = ids.shape
    count = min(length - 1, QUERIES_PER_ROW)
    rows = max(1, min(batch, ATTENTION_ELEMENTS // (count * 32 * length)))
    chosen = torch.randperm(batch, device=ids.device)[:rows]
    # 2.0 is more than any random number: positions that predict replies come first, whatever is drawn
    priority = torch.rand(batch, length - 1, device=ids.device) + 2.0 * (weights[:, 1:] > 0.5)
    return Lesson(rows=chosen, queries=priority[chosen].topk(count, -1).indices)


def average_attention(trace: Trace, lesson: Lesson) -> Tensor:
    """Return attention averaged over heads, [rows, queries, keys]."""
    q, k = trace.q[lesson.rows], trace.k[lesson.rows]
    length = k.shape[2]
    positions = lesson.queries.clamp(max=length - 1)
    index = positions[:, None, :, None].expand(-1, q.shape[1], -1, q.shape[3])
    scores = torch.matmul(q.gather(2, index), k.transpose(2, 3)).float() / q.shape[3] ** 0.5
    scores.masked_fill_(_mask_future(positions, length)[:, None], float("-inf"))
    return scores.softmax(-1).mean(1)


def _compute_divergence(model: Canary, indexer: Indexer, trace: Trace, lesson: Lesson, target: Tensor) -> Tensor:
    x, q_latent = trace.x[lesson.rows].detach(), trace.q_latent[lesson.rows].detach()
    length = x.shape[1]
    positions = lesson.queries.clamp(max=length - 1)
    cos, sin = model.rotation(length, x.device, torch.bfloat16)
    with torch.autocast(x.device.type, torch.bfloat16):
        keys = indexer.keys(x, cos, sin)
        scores = indexer.scores(
            gather_positions(x, positions),
            gather_positions(q_latent, positions),
            keys,
            cos[positions],
            sin[positions],
        )
    future = _mask_future(positions, length)
    predicted = scores.float().masked_fill(future, MASKED).log_softmax(-1)
    divergence = target * ((target + 1e-9).log() - predicted)
    return divergence.masked_fill(future, 0).sum(-1).mean()


def gather_positions(x: Tensor, positions: Tensor) -> Tensor:
    return x.gather(1, positions[..., None].expand(-1, -1, x.shape[-1]))


def _mask_future(positions: Tensor, length: int) -> Tensor:
    return torch.arange(length, device=positions.device)[None, None] > positions[..., None]
