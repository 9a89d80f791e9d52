"""What the ranges rest on is counted, and those that nothing holds may only become fewer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from matrix.facts.bases import count_boundaries, describe_boundaries, lint_reports
from matrix.facts.lint import CHECKS
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
READ_ALONE = 16  # 31 before guards were data


def test_ranges_that_nothing_holds_do_not_grow() -> None:
    counts = count_boundaries(MATRIX)
    assert counts["read"] <= READ_ALONE
    assert counts["fact"] > counts["report"]


def test_a_check_counts_by_the_strongest_thing_that_it_names(tmp_path: Path) -> None:
    path = tmp_path / "checks.yaml"
    kinds = ["{kind: wheel}", "{kind: wheel, named: f}", "{kind: wheel, guard: g}", "{kind: report}", "{kind: run}"]
    ranged = "".join(f"- {{when: {{version: '<1'}}, decided_by: {kind}}}\n" for kind in kinds)
    path.write_text(f"checks:\n{ranged}- {{when: {{}}, decided_by: {{kind: wheel}}}}\n", encoding="utf-8")
    more = count_boundaries(MATRIX, path)
    assert more["read"] == 1 and more["guard"] == 1 and more["run"] == 1
    assert describe_boundaries(more).startswith(f"{sum(more.values())} handwritten ranges")


def test_a_range_by_a_report_alone_says_why_no_fact_decides(tmp_path: Path) -> None:
    assert lint_reports(MATRIX) == []
    text = CHECKS.read_text(encoding="utf-8")
    (tmp_path / "checks.yaml").write_text(text.replace(', undecided: "', ', was: "', 1), encoding="utf-8")
    (found,) = lint_reports(MATRIX, tmp_path / "checks.yaml")
    assert found.message.startswith("pipeline_with_bf16_kv: its range of releases rests on a report alone")


def test_a_known_failure_by_a_report_alone_says_so_too() -> None:
    known = next(k for k in MATRIX.known_failures if k.value.source.undecided and not k.value.fact)
    bare = replace(known, value=replace(known.value, source=replace(known.value.source, undecided="")))
    (found,) = lint_reports(replace(MATRIX, known_failures=(bare,)))
    assert found.where == f"{known.value.id}.source.undecided"
