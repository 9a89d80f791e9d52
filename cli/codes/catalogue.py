"""Every code, from the things themselves. Only faults come from their page: their code belongs to the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from cli.codes.code import PAGES, Code, Kind, Words, read_words
from matrix.checking.rules import read_book, read_checks
from matrix.checkout import CHECKOUT
from matrix.model import Rule
from matrix.planning.expand import expand_matrix
from matrix.recorded import KnownFailure
from matrix.source import Source
from matrix.yaml.load import load_matrix

STATUSES: Final = CHECKOUT / "matrix" / "judging" / "statuses.yaml"
CHECKS: Final = CHECKOUT / "suites" / "checks" / "checks.yaml"
COMPUTED: Final = "Found by computing, not by a condition."
NAMED: Final = "Take the nearest valid word, which the finding names."
UNSEEN: Final = {
    "run": "Other GPUs, releases and weight formats than those that were run: {cite}.",
    "wheel": "What the code does when it runs: it was read, not run ({cite}).",
    "report": "Whether it is so here: somebody else reported it ({cite}).",
    "choice": "Whether an engine could do it: this is our own choice of what to ask ({cite}).",
}
INSTEAD: Final = {
    "INVALID_HW": "Choose another rig or checkpoint.",
    "INVALID_ENGINE": "Choose another release or another feature.",
    "INVALID_COMBO": "Ask for fewer features at once, or for another checkpoint.",
}


def iterate_statuses() -> Iterator[Code]:
    for name, words in read_words(STATUSES).items():
        yield Code(id=name, kind="statuses", words=words)


def iterate_checks() -> Iterator[Code]:
    for name, words in read_words(CHECKS).items():
        yield Code(id=name, kind="checks", words=words)


def iterate_rules() -> Iterator[Code]:
    # the first cell that meets a rule is its example: one that the reader can ask `why-not` about
    first: dict[str, str] = {}
    for cell, excluded in expand_matrix(load_matrix()).excluded.items():
        if excluded.rule not in first:
            first[excluded.rule] = cell.id
    for rule in (loaded.value for loaded in load_matrix().rules):
        yield Code(id=rule.id, kind="rules", words=_rule_words(rule, first.get(rule.id)))


def _rule_words(rule: Rule, cell: str | None) -> Words:
    steps = "".join(f" {step.says}" for step in rule.because)
    shown = f"`glm-matrix why-not {cell}`." if cell else "No combination of today meets it first."
    return Words(
        sees=f"{rule.status}: {rule.reason}{steps} It holds where {_show_condition(rule.when)}.",
        cannot_see=_tell_unseen(rule.source),
        example=shown,
        what_to_do=f"{INSTEAD[rule.status]} `glm-matrix list --excluded` shows what it leaves out.",
    )


def iterate_known_failures() -> Iterator[Code]:
    runnable = expand_matrix(load_matrix()).runnable
    for loaded in load_matrix().known_failures:
        # among runnable cells: `explain` of an excluded one would tell the rule, not the known failure
        met = next((c.id for c in runnable if loaded.condition(c.facts)), None)
        yield Code(id=loaded.value.id, kind="known-failures", words=_known_words(loaded.value, met))


def _known_words(known: KnownFailure, cell: str | None) -> Words:
    waits = f"It waits for {known.waits_for}." if known.waits_for else "No runnable cell of today meets it."
    fixed = f" Fixed: {known.fixed}." if known.fixed else ""
    passes = "A pass is red (XPASS)." if known.expect == "always" else "It may pass."
    return Words(
        sees=f"{known.symptom} It holds where {_show_condition(known.when)}.",
        cannot_see=_tell_unseen(known.source),
        example=f"`glm-matrix explain {cell}`." if cell else waits,
        what_to_do=f"{passes} Read {known.issue}; look again by {known.review_by}.{fixed}",
    )


def _tell_unseen(source: Source) -> str:
    return UNSEEN[source.kind].format(cite=source.cite())


def _show_condition(when: Mapping[str, object]) -> str:
    return ", ".join(f"{key} is {value}" for key, value in when.items()) or "always"


def iterate_line_checks() -> Iterator[Code]:
    for check in (*read_checks(), *read_book().computed.values()):
        decided = f"{check.decided_by.kind}: {check.decided_by.fact}"
        words = Words(
            sees=f"{check.level}: {check.cause} {check.consequence}".rstrip(),
            cannot_see=f"What is not stated in the line, the config or the release. Decided by {decided}.",
            example=f"A line where {_show_condition(check.when)}." if check.when else COMPUTED,
            # such a remedy is filled in for one line: without a line there is no nearest word
            what_to_do=NAMED if check.remedy == "{hint}" else check.remedy,
        )
        yield Code(id=check.id, kind="line-checks", words=words)


CATALOGUE: Final[Mapping[Kind, Callable[[], Iterator[Code]]]] = {
    "statuses": iterate_statuses,
    "checks": iterate_checks,
    "rules": iterate_rules,
    "known-failures": iterate_known_failures,
    "line-checks": iterate_line_checks,
}


@cache
def find_pages() -> Mapping[str, str]:
    """Code -> its page, of every kind."""
    # rendered, since faults have no entry to be rendered from: both kinds are text from here on
    pages = {code.id: code.render() for make in CATALOGUE.values() for code in make()}
    # the page first, so that a code of the product wins over a fault that is called like it
    return {**_read_sections(PAGES / "faults.md"), **pages}


def _read_sections(path: Path) -> dict[str, str]:
    """Return the sections of a generated page by their headings."""
    if not path.is_file():
        return {}
    # without what stands above the first heading
    parts = path.read_text("utf-8").split("\n## ")[1:]
    return {part.splitlines()[0]: f"## {part.rstrip()}\n" for part in parts}
