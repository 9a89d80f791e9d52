"""Text for people: the tables and chains that `glm-matrix` prints. Plain strings, no terminal tricks."""

from __future__ import annotations

from collections.abc import Iterable

from matrix.model import Cell, Excluded
from matrix.output.columns import format_table
from matrix.output.explained import describe_setting
from matrix.planning.fit import word_of_plan
from matrix.planning.plan import Plan, Setting


def explain_plan(plan: Plan) -> str:
    """Every value of a plan with where it was set and why."""
    rows: list[tuple[str, str, str]] = []
    for section, settings in plan.sections.items():
        rows += [_make_row(section, s) for s in settings]
    rows += [(f"patch {p.key}", p.where, f"{p.why} [{p.source}]") for p in plan.patches]
    head = f"{plan.cell.id}  ({plan.form}, fingerprint {plan.fingerprint})"
    return f"{head}\n{format_table(rows, ('value', 'set by', 'why'))}"


def _make_row(section: str, s: Setting) -> tuple[str, str, str]:
    why = f"{s.why} [{s.source}]" + (f"; instead of {', '.join(s.beaten)}" if s.beaten else "")
    return describe_setting(section, s), s.where, why


def explain_exclusion(cell: Cell, reasons: Iterable[Excluded], head: str = "is not run:") -> str:
    """Why a cell is not run: every reason with its rule and source, and its proof step by step."""
    lines = [f"{cell.id} {head}"]
    for n, r in enumerate(reasons, 1):
        lines += [f"  {n}. {r.status}: {r.reason}", f"     rule {r.rule} at {r.where}; source: {r.source}"]
        lines += [f"     {n}.{m} {step.says} [{step.source}]" for m, step in enumerate(r.because, 1)]
    return "\n".join(lines)


def facts_as_json(cell: Cell) -> dict[str, object]:
    """Convert a cell's facts to JSON values."""
    return {k: (sorted(v) if k == "features" else str(v) if k == "version" else v) for k, v in cell.facts.items()}


def plan_json(plan: Plan) -> dict[str, object]:
    """Convert a runnable cell for `list --json`: its facts and its plan."""
    return {
        "id": plan.cell.id,
        "runnable": True,
        **facts_as_json(plan.cell),
        "fingerprint": plan.fingerprint,
        "fit": word_of_plan(plan),
        "patches": list(plan.patch_names),
        "settings": plan.settings,
    }


def excluded_json(cell: Cell, why: Excluded) -> dict[str, object]:
    """Convert an excluded combination for `list --json`: its axes and the reason."""
    return {
        "id": cell.id,
        "runnable": False,
        "rig": cell.rig.id,
        "release": cell.release.id,
        "checkpoint": cell.checkpoint.id,
        "features": sorted(cell.features),
        "status": why.status,
        "rule": why.rule,
        "reason": why.reason,
        "source": why.source,
    }
