"""What the boundaries between releases rest on: a fact, a guard of the engine, a report, a run, or reading alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from matrix.errors import Problem
from matrix.facts.lint import CHECKS
from matrix.hardware import Json
from matrix.preflight.patch import read_patches
from matrix.yaml import yamltext
from matrix.yaml.loaded import Matrix

BASES: Final = ("fact", "guard", "report", "run", "read")
UNSAID: Final = (
    "its range of releases rests on a report alone: name the fact that decides it (glm-matrix facts), or say in "
    "`undecided` why no fact of a wheel can"
)
MEANS: Final = {
    "fact": "by a fact",
    "guard": "by a guard of the engine",
    "report": "by a report alone, saying why",
    "run": "by a run alone",
    "read": "read in some wheels, held against none",
}


def count_boundaries(matrix: Matrix, checks: Path = CHECKS) -> Mapping[str, int]:
    """Count the handwritten version ranges of rules, known failures, patches and checks by what they rest on."""
    return Counter(base for base in (*_of_matrix(matrix), *_of_checks(checks)))


def describe_boundaries(counts: Mapping[str, int]) -> str:
    """Return the counts as one line."""
    parts = ", ".join(f"{counts.get(base, 0)} {MEANS[base]}" for base in BASES)
    return f"{sum(counts.values())} handwritten ranges of releases: {parts}"


def lint_reports(matrix: Matrix, checks: Path = CHECKS) -> list[Problem]:
    """Return each range that a report alone decides and that does not say why no fact can."""
    document = yamltext.require_document(checks, f"checking/{checks.name}")
    found = [
        document.problem(("checks", index, "decided_by"), f"{entry['id']}: {UNSAID}")
        for index, entry in enumerate(document.data["checks"])
        if _rests_on_a_report(entry) and not entry["decided_by"].get("undecided")
    ]
    return found + [
        Problem(known.file, known.lines.get(("source",), known.line), f"{known.value.id}.source.undecided", UNSAID)
        for known in matrix.known_failures
        if "version" in known.value.when
        and not known.value.fact
        and known.value.source.kind == "report"
        and not known.value.source.undecided
    ]


def _rests_on_a_report(entry: Mapping[str, Any]) -> bool:
    decided = entry["decided_by"]
    return (
        "version" in entry["when"]
        and decided["kind"] == "report"
        and not (decided.get("named") or decided.get("guard"))
    )


def _of_matrix(matrix: Matrix) -> Iterator[str]:
    """Rules and patches without a fact are about engines of which no wheel is read: their sources are reports."""
    for rule in matrix.rules:
        if "version" in rule.value.when:
            yield "fact" if rule.value.fact else "report"
    for patch in read_patches().values():
        if "version" in patch.applies_when:
            yield "fact" if patch.fact else "report"
    for known in matrix.known_failures:
        if "version" in known.value.when:
            yield "fact" if known.value.fact else _base(known.value.source.kind)


def _of_checks(path: Path) -> Iterator[str]:
    document = yamltext.require_document(path, f"checking/{path.name}")
    for entry in document.data["checks"]:
        if "version" in entry["when"]:
            decided: Mapping[str, Json] = entry["decided_by"]
            named = "fact" if decided.get("named") else "guard" if decided.get("guard") else ""
            yield named or _base(str(decided["kind"]))


def _base(kind: str) -> str:
    # A new kind counts as the weakest: it is held against nothing until somebody says how.
    return kind if kind in ("report", "run") else "read"
