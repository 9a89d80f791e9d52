"""Two sides of one line -> everything that changes, the worst first."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import Version

from matrix.checking.judge import GPUS, WAITING, shown_model
from matrix.checking.rules import find_undecided, read_checks
from matrix.upgrading.choices import compare_choices
from matrix.upgrading.defaults import compare_defaults
from matrix.upgrading.findings import compare_findings, effect_of, list_staying
from matrix.upgrading.gpu_code import compare_kernels, list_unread
from matrix.upgrading.news import News, ReleaseComparison, sort_news
from matrix.upgrading.of_cells import compare_exclusions
from matrix.upgrading.parts import compare_class, compare_pins
from matrix.upgrading.patching import compare_patches
from matrix.upgrading.sides import Side
from matrix.upgrading.truths import compare_facts


def compare_sides(before: Side, after: Side, *, next_: tuple[str, ...] = ()) -> ReleaseComparison:
    """Compare two releases for one command; `next_`: commands to go on with."""
    stays = list_staying(before, after)
    waiting = find_undecided(after.facts, read_checks(after.release.engine))
    found = after.examined
    return ReleaseComparison(
        entry=found.command.entry,
        where=found.command.where,
        before=before.release.name,
        after=after.release.name,
        direction=_direction(before, after),
        rig=str(found.host) if found.host else "",
        model=shown_model(found.model),
        # two names of one release (an id and a version) must answer that nothing changes, not that all is equal
        news=sort_news(iterate_news(before, after)) if before.snapshot.release != after.snapshot.release else (),
        stays=stays,
        # a line that starts on neither side is no safe upgrade, although nothing changes
        stopped=next((f for f in stays if f.level == "wrong" and effect_of(f) == "stops"), None),
        unread=tuple(dict.fromkeys((*list_unread(before.snapshot), *list_unread(after.snapshot)))),
        undecided=len(waiting),
        # without GPUs nearly every check waits for them, and naming the rest would only hide that
        waits_for=tuple(dict.fromkeys(WAITING[f] for fs in waiting.values() for f in fs if f in WAITING))
        if after.sm
        else (GPUS,),
        next=next_,
    )


def iterate_news(before: Side, after: Side) -> Iterator[News]:
    """Everything that is not the same on both sides, in no order."""
    yield from compare_findings(before, after)
    yield from compare_exclusions(before, after)
    yield from compare_patches(before, after)
    yield from compare_choices(before, after)
    yield from compare_class(before, after)
    yield from compare_defaults(before, after)
    yield from compare_pins(before, after)
    yield from compare_kernels(before, after)
    yield from compare_facts(before, after)


def _direction(before: Side, after: Side) -> str:
    if before.snapshot.release == after.snapshot.release:
        return ""
    old, new = (Version(side.snapshot.version) for side in (before, after))
    return "upgrade" if old <= new else "downgrade"
