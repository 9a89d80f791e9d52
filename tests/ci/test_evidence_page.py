"""The committed evidence of hardware: what its page says of it, and that every reply is there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ci.evidence_page import PAGE, make_page, unpack_evidence
from matrix.checkout import CHECKOUT
from matrix.yaml.load import load_matrix
from reports.evidence.archive import unpack_evidence as unpack_archive
from reports.evidence.files import is_sealed, read_records
from reports.evidence.types import Kept, Result
from reports.gate.policy import expect_cells, load_policy

FOLDERS = [CHECKOUT / "docs" / "evidence" / name for name in ("sm90-h200", "sm90x2-h200")]


# Killed with their host's time before they could write a seal, as the page and its README say; no gate takes them.
KILLED = {"older-vllm-0.26.0-speed", "older-sglang-0.5.17-speed", "sglang-0.5.17-nvfp4", "flash-full"} | {
    "flash-vllm-0.33.0-full"
}


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


# Where the evidence of each gate lies. A cell that the matrix has since is not owed by runs of before it.
GATES = {
    "sm90_h200_vllm": ("sm90-h200", ["vllm-0.33.0"]),
    "sm90_h200_sglang": ("sm90-h200", ["sglang-0.5.23"]),
    "sm90_h200_older": ("sm90-h200", ["older-vllm-0.26.0", "older-sglang-0.5.17"]),
    "sm90_h200_nvfp4": ("sm90-h200", ["sglang-0.5.23-nvfp4-rest"]),
    "sm90_h200_flash": ("sm90-h200", ["flash-vllm-0.33.0", "flash-vllm-0.33.0-chunks"]),
    "sm90x2_h200": ("sm90x2-h200", ["whole"]),
}


def test_each_gate_of_an_h200_says_over_which_evidence() -> None:
    assert GATES.keys() == {path.stem for path in (CHECKOUT / "ci" / "gates").glob("*_h200*.yaml")}


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_over_committed_evidence_requires_no_cell_that_it_lacks(gate: str, tmp_path: Path) -> None:
    found, document = load_policy(CHECKOUT / "ci" / "gates" / f"{gate}.yaml")
    required = {cell.id for cell in expect_cells(found, document, load_matrix())}
    folder, names = GATES[gate]
    archives = [CHECKOUT / "docs" / "evidence" / folder / f"{name}.tar.xz" for name in names]
    paths = [unpack_archive(archive, tmp_path / archive.stem) for archive in archives]
    told = {r.cell for path in paths for r in read_records(path) if isinstance(r, Result)}
    assert required and required <= told
