"""Our own registry says of all our evidence whether it is certified, and why it is not where it is not."""

from __future__ import annotations

import re

from matrix.checkout import CHECKOUT
from reports.evidence.archive import SUFFIX
from reports.evidence.files import read_records
from reports.evidence.types import Kept

EVIDENCE = CHECKOUT / "docs/evidence"
REGISTRY = CHECKOUT / "docs/registry"
ROW = re.compile(r"^\| `(sm90[^`]+)` \| (.+?) \|", re.MULTILINE)


def read_page() -> dict[str, str]:
    """Read why each evidence has no certificate, by its place."""
    return dict(ROW.findall((REGISTRY / "README.md").read_text(encoding="utf-8")))


def test_evidence_is_certified_or_its_reason_stands_on_the_page() -> None:
    held = {str(p.relative_to(EVIDENCE)) for suffix in ("jsonl", SUFFIX[1:]) for p in EVIDENCE.glob(f"*/*.{suffix}")}
    certified = {str(p.resolve().relative_to(EVIDENCE)) for p in REGISTRY.glob(f"*{SUFFIX}")}
    assert certified | read_page().keys() == held and not certified & read_page().keys()


def test_what_cannot_be_replayed_has_no_reply_and_what_has_none_is_said_to_be_so() -> None:
    for place, why in read_page().items():
        if place.endswith(".jsonl"):
            kept = any(isinstance(r, Kept) and r.sha256 for r in read_records(EVIDENCE / place))
            assert kept is not why.startswith("**cannot be replayed**"), place
        else:
            assert "cannot be replayed" not in why, place
