"""What the ranges rest on is counted, and those that nothing holds may only become fewer."""

from __future__ import annotations

from pathlib import Path

from matrix.facts.bases import count_boundaries, describe_boundaries
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
