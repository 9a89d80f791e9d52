"""Patches of this project that one release needs for a line and the other does not, or does not take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from matrix.facts.evaluate import judge_fact
from matrix.facts.lint import NOT
from matrix.facts.model import load_facts
from matrix.preflight.patch import Patch, read_patches
from matrix.preflight.snapshot import Snapshot
from matrix.upgrading.news import News
from matrix.upgrading.sides import Side


def compare_patches(before: Side, after: Side) -> Iterator[News]:
    """Patches of this project that one side needs for this line and the other does not."""
    for name, patch in read_patches().items():
        old, new = (_needs_patch(patch, side) for side in (before, after))
        if old != new and not _superseded(name):
            yield _report_new_patch(patch, after) if new else _report_lost_patch(patch, before, after)


def _report_new_patch(patch: Patch, side: Side) -> News:
    return News(
        part="patch",
        key=patch.id,
        way="begins",
        danger="stops",
        level="risky",
        title=f"patch {patch.id}",
        cause=f"{patch.title}: needed. {patch.why}",
        remedy=f"glm-matrix patch {patch.id} --help",
        decided_by=side.read(f"fact {patch.fact}" if patch.fact else "its version"),
        sources=(patch.upstream or patch.source,),
    )


def _report_lost_patch(patch: Patch, before: Side, after: Side) -> News:
    """Not needed any more; or still wanted, and made for another file."""
    # without the file: a patch names the exact file it was made for, and what it repairs may live on in the next one
    wanted = bool(patch.fact) and _fact_holds(patch.fact, after.snapshot, with_file=False)
    then = "it is made for another file, and what it is for is still so" if wanted else "not needed any more"
    return replace(
        _report_new_patch(patch, after),
        way="ends",
        danger="stops" if wanted else "fixed",
        level="risky" if wanted else "note",
        cause=f"{patch.title}: {then}. {patch.retires}".strip(),
        consequence="Take it out of the launch: it refuses the other file." if patch.id in before.extra.patches else "",
        remedy="",
    )


def _needs_patch(patch: Patch, side: Side) -> bool:
    """Whether a patch is for this release, GPU and line; a line that names a dense backend needs none."""
    # dense by the line's own words; dense by a patch is the very thing that is asked about
    if side.fact("sparse") is False and not side.extra.patches:
        return False
    return _fits_release(patch, side.snapshot, side.sm)


def keep_fitting(names: Sequence[str], snapshot: Snapshot, sm: int) -> tuple[str, ...]:
    """Those of a launch's patches that another release still takes."""
    return tuple(name for name in names if _fits_release(read_patches()[name], snapshot, sm))


def _fits_release(patch: Patch, snapshot: Snapshot, sm: int) -> bool:
    # patches are written for a generation of GPUs: sm121 takes what sm120 takes
    facts = {"engine": snapshot.engine, "version": snapshot.version, "sm": sm // 10 * 10}
    # a patch with further conditions (a checkpoint, a feature) is a recipe's decision, which no line shows
    if set(patch.applies_when) - set(facts) or not patch.applies(facts):
        return False
    return not patch.fact or _fact_holds(patch.fact, snapshot)


def _fact_holds(name: str, snapshot: Snapshot, *, with_file: bool = True) -> bool:
    """Whether a fact (or `not` and a fact) holds in a release, with or without its question for one very file."""
    truths = load_facts()
    fact = truths[name.removeprefix(NOT)]
    asked = fact if with_file else replace(fact, all=tuple(p for p in fact.all if "file" not in p))
    return judge_fact(asked, snapshot, truths).holds is (not name.startswith(NOT))


def _superseded(name: str) -> bool:
    """Tell whether a later version of the same patch is reported instead."""
    stem, _, number = name.rpartition("_v")
    return number.isdigit() and f"{stem}_v{int(number) + 1}" in read_patches()
