"""Fuse chains of small operations on a GPU by torch.compile, where it works; elsewhere run them as they are written.

A step of this model is some thousand small kernels, of which Sinkhorn's iterations alone are hundreds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch

F = TypeVar("F", bound=Callable[..., Any])
_switch = {"on": False}


def fuse(function: F) -> F:
    """Return `function`, compiled at its first call once `try_fusion` has seen that compiling works."""
    compiled = torch.compile(function, dynamic=True)

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        return compiled(*args) if _switch["on"] else function(*args)

    return call  # type: ignore[return-value]


def is_fused() -> bool:
    return _switch["on"]


def stop_fusion() -> None:
    _switch["on"] = False


def try_fusion(check: Callable[[], object], log: Callable[[str], None]) -> None:
    """Switch fusion on and run `check`; whatever goes wrong, switch it off again and say so."""
    _switch["on"] = True
    try:
        # counts and epsilons are constants of the model: as symbols they would only make kernels harder to compile
        for name in ("specialize_int", "specialize_float"):
            setattr(torch._dynamo.config, name, True)
        check()
    except Exception as error:
        _switch["on"] = False
        log(f"without fusion: {type(error).__name__}: {str(error)[:300]}")
