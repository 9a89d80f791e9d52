# mypy: disallow_untyped_defs=False, disallow_incomplete_defs=False, disallow_untyped_calls=False
"""The same on a GPU: a matrix stays in registers for all rounds.

Triton 3.6 compiles what it finds in a signature, and refuses typing's `Any` there: kernels have no annotations but
its own.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

MATRICES = 64  # per program


@triton.jit
def _forward(  # noqa: PLR0917  see above; a kernel is called by position
    x, y, sums, count, eps, rounds: tl.constexpr, n: tl.constexpr, m: tl.constexpr
):
    which = tl.program_id(0) * m + tl.arange(0, m)
    side = tl.arange(0, n)
    at = which[:, None, None] * n * n + side[None, :, None] * n + side[None, None, :]
    here = which < count
    value = tl.load(x + at, mask=here[:, None, None], other=1.0)
    at_sum = which[:, None] * n + side[None, :]
    total = tl.sum(value, 1) + eps
    value = value / total[:, None, :]
    tl.store(sums + at_sum, total, mask=here[:, None])
    for i in range(1, rounds):
        total = tl.sum(value, 2) + eps
        value = value / total[:, :, None]
        tl.store(sums + (2 * i - 1) * count * n + at_sum, total, mask=here[:, None])
        total = tl.sum(value, 1) + eps
        value = value / total[:, None, :]
        tl.store(sums + 2 * i * count * n + at_sum, total, mask=here[:, None])
    tl.store(y + at, value, mask=here[:, None, None])


@triton.jit
def _backward(  # noqa: PLR0917  as above
    y, sums, dy, dx, count, rounds: tl.constexpr, n: tl.constexpr, m: tl.constexpr
):
    which = tl.program_id(0) * m + tl.arange(0, m)
    side = tl.arange(0, n)
    at = which[:, None, None] * n * n + side[None, :, None] * n + side[None, None, :]
    here = which < count
    value = tl.load(y + at, mask=here[:, None, None], other=0.0)
    slope = tl.load(dy + at, mask=here[:, None, None], other=0.0)
    at_sum = which[:, None] * n + side[None, :]
    for back in range(1, rounds):
        i = rounds - back
        total = tl.load(sums + 2 * i * count * n + at_sum, mask=here[:, None], other=1.0)
        slope = (slope - tl.sum(slope * value, 1)[:, None, :]) / total[:, None, :]
        value = value * total[:, None, :]
        total = tl.load(sums + (2 * i - 1) * count * n + at_sum, mask=here[:, None], other=1.0)
        slope = (slope - tl.sum(slope * value, 2)[:, :, None]) / total[:, :, None]
        value = value * total[:, :, None]
    total = tl.load(sums + at_sum, mask=here[:, None], other=1.0)
    slope = (slope - tl.sum(slope * value, 1)[:, None, :]) / total[:, None, :]
    tl.store(dx + at, slope, mask=here[:, None, None])


def run_forward(matrix: Tensor, eps: float, rounds: int) -> tuple[Tensor, Tensor]:
    x, n = matrix.contiguous(), matrix.shape[-1]
    count = x.numel() // (n * n)
    done = torch.empty_like(x)
    sums = torch.empty(2 * rounds - 1, *x.shape[:-1], dtype=x.dtype, device=x.device)
    _forward[(triton.cdiv(count, MATRICES),)](x, done, sums, count, eps, rounds=rounds, n=n, m=MATRICES)
    return done, sums


def run_backward(done: Tensor, sums: Tensor, gradient: Tensor) -> Tensor:
    n, rounds = done.shape[-1], (len(sums) + 1) // 2
    count = done.numel() // (n * n)
    slope = torch.empty_like(done)
    _backward[(triton.cdiv(count, MATRICES),)](
        done, sums, gradient.contiguous(), slope, count, rounds=rounds, n=n, m=MATRICES
    )
    return slope
