"""Which canary goes first: the same GPU model, release and features, and flags that differ as little as possible."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from matrix.model import Cell
from matrix.planning.expand import expand_matrix
from matrix.planning.owed import read_owed
from matrix.planning.plan import Plan, make_plan
from matrix.preflight.plans import judge_plan
from matrix.yaml.loaded import Matrix

Kind = tuple[str, str, frozenset[str]]  # GPU, release, features


class CanaryIndex:
    """The runnable canary cells of a matrix, by what a big cell must share with them."""

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix
        self._by_kind: dict[Kind, list[Cell]] = {}
        for cell in expand_matrix(matrix).runnable:
            if cell.checkpoint.canary and not cell.rig.attach_only:
                self._by_kind.setdefault(_kind_of(cell), []).append(cell)
        self._plan = cache(lambda cell: make_plan(matrix, cell))

    def find(self, plan: Plan) -> Plan | None:
        """Return the canary plan to try before a big one; None where none is alike, or none is expected to work."""
        alike = [self._plan(c) for c in self._by_kind.get(_kind_of(plan.cell), ())]
        sound = [p for p in alike if self._is_sound(p)]
        return max(sound, key=lambda p: (_measure_likeness(p, plan), -p.cell.rig.gpus, p.cell.id), default=None)

    def _is_sound(self, plan: Plan) -> bool:
        """Whether its failure would tell something: one that is known to fail, or damaged on purpose, tells nothing."""
        asked = {item.test for item in read_owed().asked_of(plan.cell, "quick")}
        # What only deeper questions meet (a field that a release refuses) leaves the quick ones something to tell.
        known = any(
            k.condition(plan.cell.facts) and (not k.value.fails.test or k.value.fails.test in asked)
            for k in self._matrix.known_failures
        )
        return not known and judge_plan(plan).verdict != "reject"


def _kind_of(cell: Cell) -> Kind:
    return cell.rig.gpu.id, cell.release.id, cell.features


def _measure_likeness(canary: Plan, big: Plan) -> tuple[bool, bool, float]:
    """Stands for it, has its weight format, and the share of flags and variables that both set alike."""
    own, other = set(_settings(canary)), set(_settings(big))
    stands = canary.cell.checkpoint.stands_for == big.cell.checkpoint.id
    same = canary.cell.checkpoint.format == big.cell.checkpoint.format
    return stands, same, len(own & other) / max(1, len(own | other))


def _settings(plan: Plan) -> Iterator[str]:
    for section in ("args", "env", "config"):
        for setting in plan.sections[section]:
            yield f"{section} {setting.key} {setting.value}"
