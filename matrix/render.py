"""Text for people: the tables and chains that `python -m matrix` prints. Plain strings, no terminal tricks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matrix.model import Cell, Excluded
from matrix.plan import Plan, Setting


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    """Left-aligned columns, two spaces apart."""
    widths = [max(len(str(r[i])) for r in [header, *rows]) for i in range(len(header))]
    lines = ["  ".join(str(c).ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in [header, *rows]]
    return "\n".join(lines)


def explain(plan: Plan) -> str:
    """Every value of a plan with where it was set and why."""
    rows: list[tuple[str, str, str]] = []
    for section, settings in plan.sections.items():
        rows += [_row(section, s) for s in settings]
    rows += [(f"patch {p.key}", p.where, f"{p.why} [{p.source}]") for p in plan.patches]
    head = f"{plan.cell.id}  ({plan.form}, fingerprint {plan.fingerprint})"
    return f"{head}\n{table(rows, ('value', 'set by', 'why'))}"


def _row(section: str, s: Setting) -> tuple[str, str, str]:
    value = "(removed)" if s.value is None else "" if s.value is True else s.value
    name = s.key if section == "args" else f"{section}: {s.key}"
    why = f"{s.why} [{s.source}]" + (f"; instead of {', '.join(s.beaten)}" if s.beaten else "")
    return f"{name} {value}".strip(), s.where, why


def chain(cell: Cell, reasons: Iterable[Excluded]) -> str:
    """Why a cell is not run, every reason with its rule and source."""
    lines = [f"{cell.id} is not run:"]
    for n, r in enumerate(reasons, 1):
        lines += [f"  {n}. {r.status}: {r.reason}", f"     rule {r.rule} at {r.where}; source: {r.source}"]
    return "\n".join(lines)


def as_json(cell: Cell, plan: Plan | None, excluded: Excluded | None) -> dict[str, object]:
    """One cell for `list --json`: its facts, and either its plan or its reason."""
    facts = {k: (sorted(v) if k == "features" else str(v) if k == "version" else v) for k, v in cell.facts.items()}
    out: dict[str, object] = {"id": cell.id, **facts, "runnable": excluded is None}
    if plan is not None:
        out |= {"fingerprint": plan.fingerprint, "patches": list(plan.patch_names), "settings": plan.settings}
    if excluded is not None:
        out |= {
            "status": excluded.status,
            "rule": excluded.rule,
            "reason": excluded.reason,
            "source": excluded.source,
        }
    return out
