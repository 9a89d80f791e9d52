"""The same plan with weights that the engine makes up: it allocates and computes everything, and reads no shard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from matrix.planning.plan import Plan, Setting
from matrix.preflight.snapshot import snapshot_for

FLAG: Final = "--load-format"
VALUE: Final = "dummy"
SOURCES: Final[Mapping[str, str]] = {  # dialects that have it; sglang enforces its choices, which the snapshot holds
    "vllm": "model_executor/model_loader/__init__.py of vllm 0.32.0 registers it; of other releases it is expected",
    "sglang": "among the parser's choices, see the release's snapshot",
}


def with_dummy_weights(plan: Plan) -> Plan | None:
    """Return the plan with `--load-format dummy`, of another fingerprint; None: the release is not known to have it,
    or the plan chooses another loader, which would not be tested."""
    # a loader that the plan chooses is a part of what is tested
    if plan.cell.engine.dialect not in SOURCES or plan.setting("args", FLAG) or not _has_dummy(plan):
        return None
    added = Setting(
        path=(FLAG,),
        value=VALUE,
        why="no weights are read: architecture, kernels and memory are tried first",
        source=SOURCES[plan.cell.engine.dialect],
        overlay=VALUE,
        where="matrix/scheduling/dummy.py",
        weight=0,
    )
    return replace(plan, sections={**plan.sections, "args": (*plan.sections["args"], added)})


def _has_dummy(plan: Plan) -> bool:
    snapshot = snapshot_for(plan.cell.release.id)
    flag = snapshot.options.get(FLAG) if snapshot else None
    if flag is None:
        return False
    closed = flag.choices or flag.values
    # an open set takes any word: the dialect's source above says that this one is known
    return closed is None or VALUE in closed
