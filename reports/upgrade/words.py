"""Puts a comparison into words, once for every form: text, Markdown, HTML and JSON say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from reports.evidence.defuse import cut_to
from reports.evidence.types import as_json_data
from reports.upgrade.comparison import CellAnswer, CellDifference, LaunchDifference, RunComparison
from reports.upgrade.speed import SpeedDifference
from reports.upgrade.tests import CELL, ChangeGroup, group_changes

SHOWN_CELLS: Final = 3
SHOWN_TESTS: Final = 3
SHOWN_ITEMS: Final = 5
SHOWN_SPEED: Final = 3  # of one cell
MESSAGE_CHARS: Final = 240
MARKS: Final = {"worse": "WORSE", "unknown": "UNKNOWN", "better": "BETTER", "same": "SAME"}


@dataclass(frozen=True, slots=True)
class UpgradeLine:
    """One line about a cell: its topic and the sentence."""

    topic: str
    text: str


@dataclass(frozen=True, slots=True)
class Story:
    """Cells of which the same is said."""

    answer: CellAnswer
    names: tuple[str, ...]
    lines: tuple[UpgradeLine, ...]

    @property
    def title(self) -> str:
        more = len(self.names) - SHOWN_CELLS
        shown = ", ".join(self.names[:SHOWN_CELLS])
        return f"{len(self.names)} cells: {shown} and {more} more" if more > 0 else shown


def tell_stories(found: RunComparison) -> tuple[Story, ...]:
    """Group the cells of which the same is said; cells of which nothing is said are left out."""
    groups: dict[tuple[CellAnswer, tuple[UpgradeLine, ...]], list[str]] = {}
    for cell in found.cells:
        if lines := describe_cell(cell):
            groups.setdefault((cell.answer, lines), []).append(cell.pair.name)
    return tuple(Story(answer, tuple(names), lines) for (answer, lines), names in groups.items())


def describe_cell(cell: CellDifference) -> tuple[UpgradeLine, ...]:
    """Describe everything that changed in a cell, the worst first; empty where nothing did."""
    return tuple(_iterate_lines(cell))


def _iterate_lines(cell: CellDifference) -> Iterator[UpgradeLine]:
    yield from (UpgradeLine("doubt", text) for text in cell.doubts)
    if cell.launch is not None:
        yield from _say_launch(cell.launch)
    yield from (UpgradeLine(group.change, _say_group(group)) for group in group_changes(cell.tests))
    for proof in cell.proofs:
        if proof.change != "same":
            text = f"{proof.feature}: {proof.before or 'not looked at'} -> {proof.after or 'not looked at'}"
            yield UpgradeLine(
                f"proof {proof.change}", f"{text} ({_cut_message(proof.detail)})" if proof.detail else text
            )
    yield from _say_answers(cell)
    yield from _say_speed(cell.speed)
    yield from (UpgradeLine("told", text) for text in cell.told)


def _say_launch(launch: LaunchDifference) -> Iterator[UpgradeLine]:
    if launch.before != launch.after:
        said = f"{launch.before or 'not recorded'} -> {launch.after or 'not recorded'}"
        yield UpgradeLine("launch", f"{said}: {_cut_message(launch.message)}" if launch.message else said)
    elif launch.much_slower:
        yield UpgradeLine("launch", f"{launch.before_s:.0f} s -> {launch.after_s:.0f} s ({launch.ratio:.1f} x)")


def _say_group(group: ChangeGroup) -> str:
    names = ", ".join(_shorten_name(test) for test in group.tests[:SHOWN_TESTS])
    more = f" and {len(group.tests) - SHOWN_TESTS} more" if len(group.tests) > SHOWN_TESTS else ""
    count = f"{len(group.tests)} tests: " if len(group.tests) > 1 else ""
    said = f"{count}{names}{more}: {group.before or 'absent'} -> {group.after or 'absent'}"
    return f"{said}: {_cut_message(group.message)}" if group.message else said


def _shorten_name(test: str) -> str:
    """Shorten a test to its function and parameters, without file and cell."""
    name = test.partition("::")[2] or test
    return name.replace(f"[{CELL}]", "").replace(f"[{CELL}-", "[").replace(f"-{CELL}]", "]")


def _say_answers(cell: CellDifference) -> Iterator[UpgradeLine]:
    pair = cell.answers
    if pair is not None and (pair.lost or pair.worse):
        checks = Counter(pair.lost)  # an item that several checks judged is lost for each of them
        items = ", ".join(f"{item}{f' ({n} checks)' if n > 1 else ''}" for item, n in [*checks.items()][:SHOWN_ITEMS])
        more = f" and {len(checks) - SHOWN_ITEMS} more" if len(checks) > SHOWN_ITEMS else ""
        beyond = "beyond luck" if pair.worse else "within luck"
        text = f"{len(pair.lost)} of {pair.items} lost, {pair.won} won, exact McNemar p = {pair.p:.2g}, {beyond}"
        yield UpgradeLine("answers", f"{text}: {items}{more}")
    elif pair is not None and pair.won:
        yield UpgradeLine("answers", f"0 of {pair.items} lost, {pair.won} won")
    if cell.unasked:
        items = "item" if cell.unasked == 1 else "items"
        yield UpgradeLine(
            "missing", f"{cell.unasked} {items} of the earlier run not asked again, or with another prompt"
        )


def _say_speed(found: Sequence[SpeedDifference]) -> Iterator[UpgradeLine]:
    for change in ("slower", "missing", "faster", "not judged"):
        own = sorted((d for d in found if d.change == change), key=lambda d: -abs((d.ratio or 0.0) - 1))
        shown = 1 if change == "not judged" else SHOWN_SPEED
        texts = [_say_number(d) for d in own[:shown]]
        if len(own) > shown:
            texts.append(f"and {len(own) - shown} more")
        if texts:
            yield UpgradeLine(f"speed {change}", "; ".join(texts))


def _say_number(d: SpeedDifference) -> str:
    where = ", ".join(f"{name} {value}" for name, value in d.conditions.items())
    if d.after is None or d.ratio is None:
        now = "not measured now" if d.change == "missing" else "measured now by a client that was too slow: no number"
        return f"{d.name} ({where}): {d.before:.3g} before, {now}"
    noise = f"noise {d.allowed:.0%}" if d.change != "not judged" else f"one launch may differ by {d.allowed:.0%}"
    launches = f"{d.launches[0]} against {d.launches[1]} launch{'es' if d.launches[1] > 1 else ''}"
    return f"{d.name} {d.before:.3g} -> {d.after:.3g} ({d.ratio:.2f} x; {where}; {launches}, {noise})"


def describe_versions(found: RunComparison) -> tuple[str, ...]:
    """Describe every changed version and the number of cells that it changed in."""
    return tuple(
        f"{name} {before} -> {after} ({count} cell{'' if count == 1 else 's'})"
        for (name, before, after), count in found.versions.items()
    )


def make_json(found: RunComparison) -> Mapping[str, Any]:
    """Make the comparison as JSON data."""
    return {
        "answer": found.answer,
        "headline": found.headline,
        "counts": dict(found.counts),
        "without_later_evidence": found.missing,
        "doubts": list(found.doubts),
        "notes": list(found.told),
        "versions": [
            {"name": name, "before": before, "after": after, "cells": count}
            for (name, before, after), count in found.versions.items()
        ],
        "cells": [_make_cell(cell) for cell in found.cells],
    }


def _make_cell(cell: CellDifference) -> Mapping[str, Any]:
    pair, answers, launch = cell.pair, cell.answers, cell.launch
    made: dict[str, Any] = {
        "before": pair.old.cell,
        "after": pair.new.cell if pair.new else None,
        "answer": cell.answer,
        "status": {"before": pair.old.status, "after": pair.new.status if pair.new else None},
        "doubts": cell.doubts,
        "notes": cell.told,
        "tests": [
            {"test": t.test, "before": t.before, "after": t.after, "change": t.change, "message": cut_to(t.message)}
            for t in cell.tests
            if t.change != "same"
        ],
        "tests_compared": len(cell.tests),
        "proofs": [{n: getattr(p, n) for n in ("feature", "before", "after", "change", "detail")} for p in cell.proofs],
        "speed": [_make_speed(d) for d in cell.speed],
        "versions": {name: list(both) for name, both in (cell.versions or {}).items()},
    }
    if answers:
        names = ("items", "lost", "won", "p", "worse", "noticed")
        made["answers"] = {**{n: getattr(answers, n) for n in names}, "not_asked_again": cell.unasked}
    if launch:
        made["launch"] = {n: getattr(launch, n) for n in ("before", "after", "before_s", "after_s", "message")}
    data: Mapping[str, Any] = as_json_data(made)
    return data


def _make_speed(d: SpeedDifference) -> Mapping[str, Any]:
    names = ("name", "conditions", "before", "after", "ratio", "allowed", "launches", "change")
    return {name: getattr(d, name) for name in names}


def _cut_message(text: str) -> str:
    return cut_to(" ".join(text.split()), MESSAGE_CHARS)
