"""Measure how much each expert matters, by REAP (router-weighted expert activation pruning, arXiv 2510.13999).

    saliency(expert) = mean over the tokens routed to it of  gate weight x || expert output ||_2

Calibrated on the training side of the bank's split; the held-out side stays unseen, so that it can judge the result.
Every token of a row counts the same, as in the paper; MTP's experts are measured on what MTP sees. The largest
activations are noted on the way: static activation scales (NVFP4's `input_scale`) are derived from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own spelling
from torch import Tensor

from fixtures.banks.canary.dice import Dice
from lab.canary_training.layers import MoE
from lab.canary_training.model import Canary
from lab.canary_training.samples import draw_row
from lab.canary_training.trunk import Log

CALIBRATION_ROWS: Mapping[int, int] = {256: 32, 512: 32, 1024: 8, 2048: 3}  # {longest: rows}, 22 k tokens
DIGITS = 6  # kept of each mean: rounding of sums differs between machines, and never in these


class _Meter:
    """Adds up one layer's gate weights times norms, in float64, and records the largest activations."""

    def __init__(self, experts: int) -> None:
        self.total = torch.zeros(experts, dtype=torch.float64)
        self.tokens = torch.zeros(experts, dtype=torch.int64)
        self.input_amax, self.inner_amax = torch.zeros(experts), torch.zeros(experts)

    def __call__(self, moe: MoE, args: tuple[Tensor, ...]) -> None:
        x = args[0].flatten(0, -2)
        inner = (F.silu(moe.all_gate(x)) * moe.all_up(x)).unflatten(-1, (len(self.total), -1))
        gates = moe.gates(x)
        downs = moe.all_down.weight.chunk(len(self.total), dim=1)
        for expert, down in enumerate(downs):
            chosen = gates[:, expert] > 0
            # a maximum of nothing raises: an expert that no token reached has saliency 0
            if not chosen.any():
                continue
            routed = inner[chosen, expert]
            # of the tokens routed to it alone: the forward pass computes all, and REAP's mean is over these
            norms = F.linear(routed, down).norm(dim=-1)
            self.input_amax[expert] = max(self.input_amax[expert], x[chosen].abs().max())
            self.inner_amax[expert] = max(self.inner_amax[expert], routed.abs().max())
            self.total[expert] += (gates[chosen, expert] * norms).double().sum()
            self.tokens[expert] += int(chosen.sum())

    def table(self) -> dict[str, list[float]]:
        """Return per expert: routed tokens, saliency, the largest |x| into it and into its down projection."""
        measured = {
            "saliency": self.total / self.tokens.clamp(min=1),
            "input_amax": self.input_amax,
            "inner_amax": self.inner_amax,
        }
        rounded = {name: [float(f"{v:.{DIGITS}g}") for v in values.tolist()] for name, values in measured.items()}
        return {"tokens": self.tokens.tolist(), **rounded}


@torch.no_grad()
def measure_experts(model: Canary, log: Log, rows: Mapping[int, int] = CALIBRATION_ROWS) -> dict[str, Any]:
    """Return {"calibration": ..., "layers": {layer: `_Meter.table`}}, in fp32 on the CPU."""
    model.eval()
    meters, hooks = {}, []
    for i, layer in enumerate([*model.layers, model.mtp]):
        if isinstance(layer.mlp, MoE):
            meters[str(i)] = _Meter(model.config.n_routed_experts)
            hooks.append(layer.mlp.register_forward_pre_hook(meters[str(i)]))
    tokens = 0
    for done, ids in enumerate(_iterate_rows(rows)):
        model.draft(ids, model(ids, dtype=torch.float32))
        tokens += ids.shape[1]
        if done % 8 == 0:
            log(f"saliency: row {done + 1} of {sum(rows.values())}, {tokens} tokens")
    for hook in hooks:
        hook.remove()
    about = {"split": "training", "rows": {str(k): v for k, v in rows.items()}, "tokens": tokens}
    return {"calibration": about, "layers": {layer: meter.table() for layer, meter in meters.items()}}


def _iterate_rows(rows: Mapping[int, int]) -> Iterator[Tensor]:
    """Yield one row at a time, without padding: the router would count a padded token too."""
    for length, count in rows.items():
        for i in range(count):
            ids, _ = draw_row(Dice(f"saliency.{length}.{i}", held_out=False), length)
            yield torch.tensor([ids])
