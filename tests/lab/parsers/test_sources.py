"""A release without a wheel: its files are those that sources.yaml pins, byte for byte, and of that version."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from lab.parsers.release import verify_modules
from lab.parsers.sources import unpack_source
from matrix.errors import HostError
from matrix.parsers.sources import PinnedSource, load_sources
from matrix.preflight.snapshot import snapshot_for

FILES = {
    "toy/version.py": b'# a licence\n__version__ = "1.2rc3"\n',
    "toy/serve/parser.py": b"answer = 42\n",
    "requirements.txt": b"-r other.txt\nopenai==2.8.0  # pinned\n",
}


@pytest.fixture
def source(tmp_path: Path) -> PinnedSource:
    for name, text in {**FILES, "toy/serve/unpinned.py": b"x = 1\n"}.items():
        (tmp_path / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "checkout" / name).write_bytes(text)
    digests = {name: hashlib.sha256(text).hexdigest() for name, text in FILES.items()}
    return PinnedSource("toy_1_2rc3", "http://localhost/", "toy at 1", "a tag", "toy/version.py", digests)


def test_the_pinned_files_are_unpacked_and_no_others(source: PinnedSource, tmp_path: Path) -> None:
    unpacked = unpack_source(source, "1.2rc3", tmp_path / "root", tmp_path / "checkout")
    found = {path.relative_to(tmp_path / "root").as_posix() for path in (tmp_path / "root").rglob("*.*")}
    assert found == set(FILES)
    assert (unpacked.wheel, unpacked.requires) == ("toy at 1", ("openai==2.8.0",))
    ran = tmp_path / "root" / "toy" / "serve" / "parser.py"
    assert verify_modules(unpacked, [str(ran)]) == 1
    ran.write_text("answer = 43\n")
    with pytest.raises(HostError, match="RECORD"):
        verify_modules(unpacked, [str(ran)])


def test_a_file_that_differs_by_a_byte_is_refused(source: PinnedSource, tmp_path: Path) -> None:
    (tmp_path / "checkout" / "toy" / "serve" / "parser.py").write_bytes(b"answer = 43\n")
    with pytest.raises(HostError, match=r"toy/serve/parser\.py of .* pins"):
        unpack_source(source, "1.2rc3", tmp_path / "root", tmp_path / "checkout")


def test_a_checkout_without_a_file_is_told(source: PinnedSource, tmp_path: Path) -> None:
    (tmp_path / "checkout" / "toy" / "version.py").unlink()
    with pytest.raises(HostError, match=r"no toy/version\.py"):
        unpack_source(source, "1.2rc3", tmp_path / "root", tmp_path / "checkout")


def test_files_of_another_release_are_refused(source: PinnedSource, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"says 1\.2rc3, and 1\.2rc4 was asked for"):
        unpack_source(source, "1.2rc4", tmp_path / "root", tmp_path / "checkout")
    with pytest.raises(HostError, match="says nothing"):
        unpack_source(
            replace(source, version_file="toy/serve/parser.py"), "1.2rc3", tmp_path / "r", tmp_path / "checkout"
        )


def test_nothing_is_fetched_but_by_https(source: PinnedSource, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="expected an https address"):
        unpack_source(source, "1.2rc3", tmp_path / "root")


@pytest.mark.parametrize("source", load_sources().values(), ids=lambda source: source.release)
def test_each_pinned_release_has_a_snapshot_and_a_commit(source: PinnedSource) -> None:
    snapshot = snapshot_for(source.release)
    assert snapshot is not None
    assert source.base.startswith("https://")
    assert source.base.endswith("/")
    assert any(len(part) == 40 for part in source.base.split("/")), "a branch moves"
    assert {source.version_file, "requirements.txt"} <= set(source.files)
    assert all(len(digest) == 64 for digest in source.files.values())
