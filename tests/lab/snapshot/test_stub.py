"""Of a stub the pins are read and nothing else: no code of it runs, and what was known besides stays."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from lab.snapshot import stub
from lab.snapshot.release import read_release, read_texts_again
from lab.snapshot.stub import MOST_BYTES, read_stub, with_pins
from matrix.errors import HostError
from matrix.preflight.snapshot import Flag, Snapshot, parse_snapshot, save_snapshot

HEAD = "Metadata-Version: 2.4\nName: tensorrt_llm\nVersion: 9.9\n"
BARE = Snapshot(release="trtllm_9_9", engine="trtllm", version="9.9", source="x.tar.gz")


def make_stub(folder: Path, metadata: str, name: str = "PKG-INFO") -> Path:
    """Write a source archive whose build backend is one that nobody has."""
    path = folder / "tensorrt_llm-9.9.tar.gz"
    backend = '[build-system]\nrequires = ["wheel-stub"]\nbuild-backend = "wheel_stub.buildapi"\n'
    with tarfile.open(path, "w:gz") as archive:
        for member, text in ((name, metadata), ("pyproject.toml", backend)):
            info = tarfile.TarInfo(f"tensorrt_llm-9.9/{member}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def test_pip_brings_the_stub_and_builds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_stub(tmp_path, f'{HEAD}Requires-Dist: torch>=2.9\nRequires-Dist: ray; extra == "devel"\n')
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    found = read_stub("trtllm", "9.9")
    assert (found.requires, found.source, found.complete) == (("torch>=2.9",), "tensorrt_llm-9.9.tar.gz", False)


@pytest.mark.parametrize(
    ("metadata", "name"), [(HEAD, "SETUP-INFO"), (f"{HEAD}{'x' * MOST_BYTES}", "PKG-INFO")], ids=["none", "too large"]
)
def test_what_is_no_stub_is_refused(metadata: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"tensorrt_llm-9\.9\.tar\.gz has no PKG-INFO of at most 1 MiB"):
        stub._read_metadata(make_stub(tmp_path, metadata, name))


def test_only_the_pins_are_known(tmp_path: Path) -> None:
    found = with_pins(BARE, ("torch>=2.9",), "x.tar.gz")
    assert found.knows("requires")
    assert not any(found.knows(part) for part in (*stub.PARTS, "guards"))
    assert found.unread["flags"] == stub.WHY
    path = save_snapshot(found, tmp_path)
    assert parse_snapshot(path.read_text(encoding="utf-8"), tmp_path) == found


def test_a_stub_without_pins_says_nothing_of_them() -> None:
    found = with_pins(BARE, (), "x.tar.gz")
    assert not found.knows("requires")
    assert found.unread["requires"] == "x.tar.gz lists none"


def test_what_was_known_besides_stays() -> None:
    known = Snapshot(**{**BARE.__dict__, "complete": False, "flags": (Flag(options=("--tp",), dest="tp"),)})
    found = with_pins(known, ("torch>=2.9",), "y.tar.gz")
    assert found.flags == known.flags
    assert "flags" not in found.unread
    assert (found.source, found.facts["stub"]) == ("x.tar.gz", "y.tar.gz")


def test_a_release_that_was_read_is_not_replaced_by_its_stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stub, "_download_source", lambda _requirement, _folder: make_stub(tmp_path, HEAD))
    with pytest.raises(HostError, match="its stub says less"):
        read_release("trtllm", "1.3.0rc3")


def test_a_stub_has_no_texts() -> None:
    with pytest.raises(HostError, match=r"stub.*--wheel PATH"):
        read_texts_again("trtllm", "1.3.0rc3")
