"""Pairs each cell of the earlier evidence with the cell of the later evidence that replaces it.

A release, a rig or a checkpoint stands in a cell's id, so an upgrade changes every id. `--map OLD=NEW` renames a fact
(rig, release, checkpoint) of the earlier cells; then only the cells that a map renames are compared, and the others are
counted. Ids are never taken apart: a cell is paired by its recorded facts, and by its whole id where it has none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from matrix.errors import ConfigError, Problem, suggest_nearest
from reports.evidence.summary import CellRow

MAPPED: Final = ("rig", "release", "checkpoint")  # the facts that a map can rename
Place = tuple[tuple[str, ...], frozenset[str]] | str  # facts and features; the id of a cell without facts


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPair:
    """One cell before and after; `new` is None where the later evidence does not hold it."""

    old: CellRow
    new: CellRow | None
    expected: str  # the later cell's id, or the facts by which it was looked for

    @property
    def renamed(self) -> bool:
        """Whether both sides are different cells, so that their plans differ by intention."""
        return self.expected != self.old.cell

    @property
    def name(self) -> str:
        return f"{self.old.cell} -> {self.expected}" if self.renamed else self.old.cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """All pairs, and the cells of either side that belong to none."""

    pairs: tuple[CellPair, ...]
    left_out: tuple[str, ...] = ()  # earlier cells that no map renames
    added: tuple[str, ...] = ()  # later cells without an earlier one
    likely_map: str = ""  # the OLD=NEW that would pair the most cells; empty where one was given, or none would


def parse_maps(texts: Iterable[str]) -> dict[str, str]:
    """Parse `OLD=NEW` words.

    Raises:
        ConfigError: a text is not `OLD=NEW`, or two maps rename one word.
    """
    maps: dict[str, str] = {}
    problems: list[Problem] = []
    for text in texts:
        old, sign, new = (part.strip() for part in text.partition("="))
        if not (old and sign and new):
            problems.append(_make_refusal(f"expected OLD=NEW, e.g. sglang_0_5_17=sglang_0_5_23, got {text!r}"))
        elif maps.setdefault(old, new) != new:
            problems.append(_make_refusal(f"{old!r} is renamed twice, to {maps[old]!r} and to {new!r}"))
    if problems:
        raise ConfigError(problems)
    return maps


def pair_rows(old: Sequence[CellRow], new: Sequence[CellRow], maps: Mapping[str, str]) -> Pairing:
    """Pair the cells of two runs by their facts, renamed by `maps`.

    Raises:
        ConfigError: a map names no fact of the evidence, or two earlier cells become the same cell.
    """
    _check_maps(old, new, maps)
    asked = [row for row in old if not maps or _words_of(row) & maps.keys()]
    places: dict[Place, CellRow] = {}
    for row in asked:
        place = _place_of(row, maps)
        if place in places:
            raise ConfigError([_make_refusal(f"{places[place].cell} and {row.cell} become the same cell")])
        places[place] = row
    later = {_place_of(row, {}): row for row in new}
    pairs = tuple(
        CellPair(old=row, new=(found := later.get(place)), expected=found.cell if found else _name_place(row, place))
        for place, row in places.items()
    )
    aimed = set(maps.values())
    added = [row.cell for place, row in later.items() if place not in places and (not maps or _words_of(row) & aimed)]
    left_out = [row.cell for row in old if row not in asked]
    likely = "" if maps else _find_likely_map([pair.old for pair in pairs if not pair.new], later)
    return Pairing(pairs=pairs, left_out=tuple(left_out), added=tuple(added), likely_map=likely)


def _find_likely_map(missing: Sequence[CellRow], later: Mapping[Place, CellRow]) -> str:
    """Find the one renamed word with which the most of these cells have a later one."""
    words = {word: name for row in later.values() for name in MAPPED if (word := str(row.facts.get(name, "")))}
    counts = Counter(
        (was, now)
        for row in missing
        for now, name in words.items()
        if (was := str(row.facts.get(name, ""))) and was != now and _place_of(row, {was: now}) in later
    )
    return "=".join(counts.most_common(1)[0][0]) if counts else ""


def pair_two_cells(old: Sequence[CellRow], new: Sequence[CellRow], names: Sequence[str]) -> Pairing:
    """Pair one named cell of each side.

    Raises:
        ConfigError: a side does not hold its cell; names the nearest.
    """
    problems, found = [], []
    for side, rows, name in zip(("OLD", "NEW"), (old, new), names, strict=True):
        by_id = {row.cell: row for row in rows}
        if name in by_id:
            found.append(by_id[name])
        else:
            problems.append(_make_refusal(f"{side} holds no cell {name!r}{suggest_nearest(name, by_id)}", "--cells"))
    if problems:
        raise ConfigError(problems)
    return Pairing(pairs=(CellPair(old=found[0], new=found[1], expected=found[1].cell),))


def _check_maps(old: Sequence[CellRow], new: Sequence[CellRow], maps: Mapping[str, str]) -> None:
    problems = []
    for side, words, rows in (("OLD", maps.keys(), old), ("NEW", maps.values(), new)):
        known = {word for row in rows for word in _words_of(row)}
        for word in words if known else ():
            if word not in known:
                text = f"no rig, release or checkpoint of {side} is {word!r}{suggest_nearest(word, known)}"
                problems.append(_make_refusal(text))
    if problems:
        raise ConfigError(problems)


def _words_of(row: CellRow) -> frozenset[str]:
    return frozenset(str(row.facts[name]) for name in MAPPED if name in row.facts)


def _place_of(row: CellRow, maps: Mapping[str, str]) -> Place:
    if not all(name in row.facts for name in MAPPED):
        return row.cell
    words = (str(row.facts[name]) for name in MAPPED)
    return tuple(maps.get(word, word) for word in words), frozenset(map(str, row.features))


def _name_place(row: CellRow, place: Place) -> str:
    """Name the cell that was looked for: the same id where no map renames it, else its facts."""
    if isinstance(place, str) or place == _place_of(row, {}):
        return row.cell
    words, features = place
    return ".".join((*words, "_".join(sorted(features)) or "baseline"))


def _make_refusal(text: str, option: str = "--map") -> Problem:
    return Problem(option, 0, "", text)
