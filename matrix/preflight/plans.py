"""Preflight of whole plans: what `glm-matrix preflight` prints, and the first step of every launch.

A plan still has launch-time placeholders in it; they get harmless values here, because only their type matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from matrix.planning.compiles import describe_compile, find_compiles
from matrix.planning.fit import fit_of_plan
from matrix.planning.main_memory import list_pinned
from matrix.planning.plan import Plan, fill_placeholders
from matrix.preflight.kernels import find_gaps
from matrix.preflight.snapshot import Snapshot, snapshot_for
from matrix.preflight.verdict import PreflightReport, Remark, preflight_launch

STAND_INS = {"model": "/model", "host": "127.0.0.1", "port": "8000", "api_key_env": "API_KEY"}


@dataclass(frozen=True)
class ServedArchitecture:
    """The architecture an engine sees: the checkpoint's, or what the recipe's config.json renames it to."""

    architecture: str


def judge_plan(plan: Plan, installed: Mapping[str, str] | None = None) -> PreflightReport:
    """Judge one plan against the snapshot of its own release."""
    release = plan.cell.release.id
    argv = [fill_placeholders(word, STAND_INS) for word in plan.arguments()]
    # a recipe may rename the class in config.json: the engine looks up what it reads there
    renamed = plan.values("config").get("architectures")
    served = ServedArchitecture(renamed[0] if renamed else plan.cell.checkpoint.architecture)
    snapshot = snapshot_for(release)
    report = preflight_launch(argv, plan.env, snapshot, served, release=release, installed=installed)
    # behind the parser's remarks: what the release refuses outright comes first in a reader's eyes
    more = (*_check_kernels(plan, snapshot), *_list_compiles(plan), *_check_fit(plan), *_list_pinned_memory(plan))
    return replace(report, remarks=(*report.remarks, *more))


def _list_compiles(plan: Plan) -> Iterator[Remark]:
    """Kernels that the host compiles at the first start: no fault, and minutes in which the log is silent."""
    for entry in find_compiles(plan):
        message = f"{describe_compile(entry, plan.env)} [{entry.source}]"
        yield Remark(level="note", kind="compiles", where="snapshot", subject=entry.id, message=message)


def _check_fit(plan: Plan) -> Iterator[Remark]:
    """Reject a launch that does not fit like one that the parser refuses; a tight one is worth knowing."""
    found = fit_of_plan(plan)
    if found is None or found.word == "fits":
        return
    yield Remark(
        level="warning" if found.ok else "error",
        kind=found.word.replace(" ", "_"),
        where="memory",
        subject=plan.cell.rig.id,
        message=f"{found.word}: {found.explain()}",
    )


def _list_pinned_memory(plan: Plan) -> Iterator[Remark]:
    """Tell the main memory that is taken at the start. No rig states its own: the launch compares it with the host."""
    for each in list_pinned(plan):
        yield Remark(level="note", kind="main_memory", where="memory", subject=each.flag, message=each.explain())


def _check_kernels(plan: Plan, snapshot: Snapshot | None) -> Iterator[Remark]:
    """Libraries without code for the rig's GPU: an error for a backend that the plan names, else worth knowing."""
    sm = plan.cell.rig.gpu.sm
    if snapshot is None or not sm:
        return
    named = [value for value in plan.values("args").values() if isinstance(value, str)]
    for gap in find_gaps(snapshot, plan.cell.engine.compiled, sm, named, host=plan.cell.rig.gpu.host):
        yield Remark(
            level="error" if gap.asked else "note",
            kind="no_kernel",
            where="argv",
            subject=gap.asked or gap.library,
            message=f"{gap.asked} cannot run: {gap.message}" if gap.asked else gap.message,
        )


def make_row(plan: Plan, report: PreflightReport) -> Sequence[str]:
    """Cell, verdict, and what decided it: errors first, then what is unknown, then warnings."""
    order = ("error", "unknown", "warning")
    told = sorted((r for r in report.remarks if r.level in order), key=lambda r: order.index(r.level))
    return plan.cell.id, report.verdict, "; ".join(f"{r.kind}: {r.subject}" for r in told)
