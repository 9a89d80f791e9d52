"""Which kernels a launch compiles on the host at its first start, and where it keeps them.

The entries stand in engine.yaml (`compiles:`), each with the file of the wheel that decides it.
"""

from __future__ import annotations

from collections.abc import Mapping

from matrix.condition import compile_condition
from matrix.engine_kernels import HostCompile
from matrix.planning.plan import Plan

WHEN = {
    "load": "while it loads",
    "first_request": "at its first request, before it is ready",
    "requests": "during requests, at the first of each shape",
}


def find_compiles(plan: Plan) -> tuple[HostCompile, ...]:
    """Return the entries that hold for this plan's cell, in the order of engine.yaml."""
    entries = plan.cell.engine.compiles
    return tuple(e for e in entries if compile_condition(e.when)(plan.cell.facts, plan.form))


def locate_cache(entry: HostCompile, environment: Mapping[str, str]) -> str:
    """Return the folder that the engine keeps these kernels in, under this environment; `~` stays."""
    return environment.get(entry.variable) or entry.keeps


def describe_compile(entry: HostCompile, environment: Mapping[str, str]) -> str:
    """Return one line: what is compiled, when, how long that took elsewhere, and where it is kept."""
    seen = f" ({entry.seen})" if entry.seen else ""
    kept = f"kept in {locate_cache(entry, environment)} ({entry.variable})"
    return f"compiles {entry.what} {WHEN[entry.at]}{seen}; {kept}"
