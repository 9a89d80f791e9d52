"""Train the pooled indexers on a finished, frozen trunk: each learns to rank pools as its layer's attention does."""

from __future__ import annotations

import torch
from torch import Tensor

from lab.canary_training.attention import Pass, Trace
from lab.canary_training.auxiliary import MASKED, Lesson, average_attention, choose_lesson, gather_positions
from lab.canary_training.flash.latent import LatentAttention, PooledIndexer
from lab.canary_training.flash.model import FlashCanary
from lab.canary_training.precision import autocast, compute_dtype


def select_indexers(model: FlashCanary) -> list[torch.nn.Parameter]:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".indexer." in name)
    return [p for p in model.parameters() if p.requires_grad]


def indexer_losses(model: FlashCanary, ids: Tensor, weights: Tensor) -> Tensor:
    """Return each indexer's divergence from the attention of its layer."""
    run, device = Pass(traces=[]), ids.device.type
    with autocast(device), torch.no_grad():
        model(ids, run, dtype=compute_dtype(device))
    lesson = choose_lesson(ids, weights)
    mixers = [layer.self_attn for layer in model.layers if isinstance(layer.self_attn, LatentAttention)]
    return torch.stack(
        [_diverge(mixer.indexer, trace, lesson) for mixer, trace in zip(mixers, run.traces or [], strict=True)]
    )


def _diverge(indexer: PooledIndexer, trace: Trace, lesson: Lesson) -> Tensor:
    x, q_latent = trace.x[lesson.rows].detach(), trace.q_latent[lesson.rows].detach()
    pools = x.shape[1] // indexer.pool
    positions = lesson.queries.clamp(max=x.shape[1] - 1)
    with torch.no_grad():
        attended = average_attention(trace, lesson)[..., : pools * indexer.pool].unflatten(-1, (pools, -1)).sum(-1)
        ends = torch.arange(pools, device=x.device) * indexer.pool + indexer.pool - 1
        unseen = ends[None, None] > positions[..., None]
        target = attended.masked_fill(unseen, 0)
        # what lies on the tail or on the first tokens is attended whatever the indexer says
        target = target / target.sum(-1, keepdim=True).clamp(min=1e-6)
    with autocast(x.device.type):
        scores = indexer.scores(
            gather_positions(x, positions), gather_positions(q_latent, positions), indexer.pool_keys(x)
        )
    predicted = scores.float().masked_fill(unseen, MASKED).log_softmax(-1)
    return (target * ((target + 1e-9).log() - predicted)).masked_fill(unseen, 0).sum(-1).mean()
