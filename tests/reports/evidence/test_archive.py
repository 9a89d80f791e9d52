"""Archives of evidence: whatever else one holds is refused, and so is more than it may hold."""

from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path

import pytest

from matrix.errors import ConfigError
from reports.evidence.archive import read_lines, unpack_evidence


def add_member(archive: Path, name: str, kind: bytes = tarfile.REGTYPE) -> None:
    with tarfile.open(archive, "w:xz") as packed:
        entry = tarfile.TarInfo(name)
        entry.type, entry.size, entry.linkname = kind, 1 if kind == tarfile.REGTYPE else 0, "/etc/passwd"
        packed.addfile(entry, io.BytesIO(b"x"))


@pytest.mark.parametrize("name", ["../e.jsonl", "/tmp/e.jsonl", "a/e.jsonl", "e.sh", "e.kept/../../x.jsonl.gz"])
def test_an_archive_writes_nothing_but_evidence(tmp_path: Path, name: str) -> None:
    add_member(tmp_path / "a.tar.xz", name)
    with pytest.raises(ConfigError, match="neither evidence nor a kept reply"):
        unpack_evidence(tmp_path / "a.tar.xz", tmp_path / "out")
    add_member(tmp_path / "b.tar.xz", "e.jsonl", tarfile.SYMTYPE)
    with pytest.raises(ConfigError, match="neither evidence"):
        unpack_evidence(tmp_path / "b.tar.xz", tmp_path / "out")


def test_a_header_that_claims_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("header")
    entry.type, entry.size = tarfile.XHDTYPE, 3 << 30
    head = entry.create_ustar_header(entry.get_info(), "utf-8", "strict")
    archive = tmp_path / "a.tar.xz"
    archive.write_bytes(lzma.compress(head + b"a" * (2 << 20)))
    with pytest.raises(ConfigError, match="a header of 3,221,225,472 bytes"):
        unpack_evidence(archive, tmp_path / "out")
    with pytest.raises(ConfigError, match="a header of 3,221,225,472 bytes"):
        list(read_lines(archive, 1 << 30))


def test_a_size_below_zero_leads_nowhere(tmp_path: Path) -> None:
    """The next header would be the same one again: a reader that looks for a name never ends."""
    first, second = tarfile.TarInfo("a"), tarfile.TarInfo("README")
    first.type, second.size = tarfile.DIRTYPE, -512
    headers = [entry.tobuf(tarfile.GNU_FORMAT) for entry in (first, second)]
    archive = tmp_path / "a.tar.xz"
    archive.write_bytes(lzma.compress(b"".join(headers) + bytes(1024)))
    with pytest.raises(ConfigError, match="a size below zero"):
        next(read_lines(archive, 1 << 30))
    second.name = "e.jsonl"
    archive.write_bytes(lzma.compress(headers[0] + second.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    with pytest.raises(ConfigError, match="a size below zero"):
        unpack_evidence(archive, tmp_path / "out")
