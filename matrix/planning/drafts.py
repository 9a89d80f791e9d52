"""Drafts of a checkpoint of their own: which one a cell loads beside its target, and why it may have none.

MTP is no such draft: its layer lies in the target's own checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator

from matrix.model import Cell, Draft
from matrix.planning.ranks import LaunchFault
from matrix.yaml.loaded import Matrix

__all__ = ["find_draft", "find_wrong_drafts"]


def find_draft(matrix: Matrix, cell: Cell) -> Draft | None:
    """Find the published draft that the cell asks for; None where it asks for none, or none is published."""
    kinds = (matrix.features[name].draft for name in sorted(cell.features))
    published = matrix.families[cell.checkpoint.family].drafts
    return next((published[kind] for kind in kinds if kind in published), None)


def find_wrong_drafts(matrix: Matrix, cell: Cell) -> Iterator[LaunchFault]:
    """Find why the draft that is asked for cannot be loaded: none is published, or it is for another engine."""
    family = matrix.families[cell.checkpoint.family]
    for feature in (matrix.features[name] for name in sorted(cell.features)):
        if not feature.draft:
            continue
        draft = family.drafts.get(feature.draft)
        if draft is None:
            known = ", ".join(f"{kind} ({found.repository})" for kind, found in sorted(family.drafts.items()))
            what = f"no {feature.title} for {family.title} is known to be published"
            reason = f"{what}; of its kinds there is {known or 'none'}"
            yield LaunchFault("no_draft_published", "INVALID_COMBO", reason, f"axes/families/{family.id}.yaml")
        elif cell.engine.id not in draft.engines:
            reason = f"{draft.repository} is for {' and '.join(draft.engines)}: {draft.why}"
            yield LaunchFault("draft_is_for_another_engine", "INVALID_COMBO", reason, draft.source)
