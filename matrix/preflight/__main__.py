"""`glm-matrix preflight`: would the pinned releases accept these plans? No GPU, no engine, no network."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence

from matrix.errors import ConfigError
from matrix.model import Excluded
from matrix.output.columns import format_table
from matrix.output.command_line import CommandLine
from matrix.planning import fit
from matrix.planning.expand import expand_matrix, list_exclusions
from matrix.planning.named import list_named
from matrix.planning.plan import Plan, make_plan
from matrix.planning.select import select_by_globs
from matrix.preflight.plans import judge_plan, make_row
from matrix.preflight.verdict import PreflightReport
from matrix.yaml.load import load_matrix


def make_parser() -> argparse.ArgumentParser:
    made = CommandLine(prog="glm-matrix preflight", description=__doc__)
    made.add_argument("cells", nargs="*", metavar="CELL", help="cell ids or globs, runnable or not")
    made.add_argument("--all", action="store_true", help="every runnable plan (the default without CELL)")
    made.add_argument("--as-published", action="store_true", help="judge the sources' own command lines")
    made.add_argument("--json", action="store_true", help="one JSON object a line, every remark included")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 nothing rejected, 1 something is, 2 bad input."""
    options = make_parser().parse_args(arguments)
    try:
        reports = _judge_plans(options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print("\n".join(_render_json(p, r) for p, r in reports))
    elif len(reports) == 1:
        print(reports[0][1])
        print(_fit(reports[0][0]))
        print(_not_run(reports[0][0]), end="")
    else:
        print(format_table([_row(p, r) for p, r in reports], ("cell", "verdict", "decided by")))
        print(f"\n{_counts([report for _, report in reports])}")
    return 1 if any(report.verdict == "reject" for _, report in reports) else 0


def _judge_plans(options: argparse.Namespace) -> list[tuple[Plan, PreflightReport]]:
    matrix = load_matrix()
    world = expand_matrix(matrix)
    named = (cell for cell, _ in list_named(matrix, options.cells))
    # excluded cells can be asked about by name: why one is excluded is often what its parser would say
    every = [*world.runnable, *world.excluded, *named]
    chosen = select_by_globs(every, options.cells) if options.cells else world.runnable
    plans = [make_plan(matrix, cell, "published" if options.as_published else "recommended") for cell in chosen]
    return [(p, judge_plan(p)) for p in plans]


def _counts(reports: Sequence[PreflightReport]) -> str:
    verdicts = Counter(report.verdict for report in reports)
    noted = Counter(kind for report in reports for kind in set(report.kinds("note")))
    lines = [f"{len(reports)} plans: " + ", ".join(f"{n} {verdict}" for verdict, n in sorted(verdicts.items()))]
    if noted:
        kinds = ", ".join(f"{kind} in {n}" for kind, n in noted.most_common())
        lines.append(f"notes, shown for a single CELL and by --json: {kinds}")
    return "\n".join(lines)


def _find_exclusion(p: Plan) -> Excluded | None:
    return next(iter(list_exclusions(load_matrix(), p.cell)), None)


def _not_run(p: Plan) -> str:
    """Find what a parser cannot know: the matrix would not run this cell, or its feature could not take effect."""
    if (found := _find_exclusion(p)) is None:
        return ""
    return f"  matrix  {found.status}: {found.reason}\n          the chain: glm-matrix why-not {p.cell.id}\n"


def _row(p: Plan, report: PreflightReport) -> Sequence[str]:
    cell, verdict, decided = make_row(p, report)
    found = _find_exclusion(p)
    return cell, verdict, "; ".join(filter(None, [f"{found.status}: {found.rule}" if found else "", decided]))


def _fit(p: Plan) -> str:
    """Format the memory arithmetic of one plan, with the largest context that fits."""
    return f"  fit     {fit.tell_fit(p)}"


def _render_json(p: Plan, report: PreflightReport) -> str:
    remarks = [
        {"level": r.level, "kind": r.kind, "where": r.where, "subject": r.subject, "message": r.message}
        for r in report.remarks
    ]
    found = _find_exclusion(p)
    verdict = {"verdict": report.verdict, "fit": fit.word_of_plan(p)}
    said = {"cell": p.cell.id, "release": report.release, **verdict, "remarks": remarks}
    return json.dumps(said | ({"not_run": found.status, "rule": found.rule} if found else {}))


if __name__ == "__main__":
    sys.exit(main())
