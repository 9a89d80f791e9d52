"""The committed evidence of hardware: what its page says of it, and that every reply is there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ci.evidence_page import PAGE, make_page, unpack_evidence
from matrix.checkout import CHECKOUT
from reports.evidence.files import is_sealed, read_records
from reports.evidence.types import Kept

FOLDERS = [CHECKOUT / "docs" / "evidence" / name for name in ("sm90-h200", "sm90x2-h200")]


# Killed with their host's time before they could write a seal, as the page and its README say; no gate takes them.
KILLED = {"older-vllm-0.26.0-speed", "older-sglang-0.5.17-speed", "sglang-0.5.17-nvfp4", "flash-full"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_page_is_what_the_sealed_evidence_says_and_every_reply_is_there(folder: Path, tmp_path: Path) -> None:
    """Judging 2,700 replies again takes minutes (`glm-matrix replay`); here each is the one that the seal covers, and
    the page says of each run whether its seal holds."""
    files = unpack_evidence(folder, tmp_path)
    runs = {path.stem: read_records(path) for path in files}
    page = (folder / PAGE).read_text(encoding="utf-8")
    assert page == make_page(runs)
    assert len(runs) == len(list(folder.glob("*.tar.xz")))
    assert {name for name, records in runs.items() if not is_sealed(records)} <= KILLED
    assert page.count("| yes |") == len(runs.keys() - KILLED) and page.count("| no end | no |") == len(
        runs.keys() & KILLED
    )
    for path in files:
        named = {r.sha256 for r in runs[path.stem] if isinstance(r, Kept)}
        found = {hashlib.sha256(p.read_bytes()).hexdigest() for p in path.with_suffix(".kept").glob("*.gz")}
        assert named <= found  # an interrupted test leaves its replies, and no record
