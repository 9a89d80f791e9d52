"""Sinkhorn's iterations with a gradient that needs one number per normalised row: one kernel each way on a GPU.

A half round divides by sums s = sum x + eps, so x = y s, and dx = (dy - sum dy y) / s: the way back stores no matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

try:
    from lab.canary_training.flash import sinkhorn_kernel
except ImportError:  # no Triton: a CPU's torch has none
    kernel: Any = None
else:
    kernel = sinkhorn_kernel


def try_kernel(device: str, log: Callable[[str], None]) -> None:
    """Compare the kernel with what it replaces; without it, training is slower and right."""
    global kernel  # noqa: PLW0603  one per process, as the device is
    if kernel is None or device == "cpu":
        return
    matrix = torch.rand(5, 300, 4, 4, device=device) + 0.01
    gradient = torch.randn_like(matrix)
    try:
        done, sums = kernel.run_forward(matrix, 1e-6, 20)
        wanted = _run_forward(matrix, 1e-6, 20)[0]
        slope, wanted_slope = kernel.run_backward(done, sums, gradient), _run_backward(done, sums, gradient)
        if not (torch.allclose(done, wanted, atol=1e-4) and torch.allclose(slope, wanted_slope, atol=1e-3, rtol=1e-3)):
            raise ValueError("its results differ")
    except Exception as error:
        log(f"without Sinkhorn's kernel: {type(error).__name__}: {str(error)[:300]}")
        kernel = None


class Sinkhorn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, eps: float, rounds: int) -> Tensor:
        """Divide columns, then rows and columns alternately, `rounds` times in all: matrix [..., n, n]."""
        if kernel is not None and matrix.is_cuda:
            done, sums = kernel.run_forward(matrix, eps, rounds)
        else:
            done, sums = _run_forward(matrix, eps, rounds)
        ctx.save_for_backward(done, sums)
        return done

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        done, sums = ctx.saved_tensors
        run = kernel.run_backward if kernel is not None and gradient.is_cuda else _run_backward
        return run(done, sums, gradient), None, None


def half_rounds(rounds: int) -> list[int]:
    """Return the axis of each division: columns first, then rows and columns."""
    return [-2] + [-1, -2] * (rounds - 1)


def _run_forward(matrix: Tensor, eps: float, rounds: int) -> tuple[Tensor, Tensor]:
    sums = []
    for axis in half_rounds(rounds):
        total = matrix.sum(axis, keepdim=True) + eps
        matrix = matrix / total
        sums.append(total.squeeze(axis))
    return matrix, torch.stack(sums)


def _run_backward(done: Tensor, sums: Tensor, gradient: Tensor) -> Tensor:
    axes = half_rounds((len(sums) + 1) // 2)
    for axis, total in zip(reversed(axes), reversed(sums.unbind()), strict=True):
        gradient = (gradient - (gradient * done).sum(axis, keepdim=True)) / total.unsqueeze(axis)
        done = done * total.unsqueeze(axis)
    return gradient
