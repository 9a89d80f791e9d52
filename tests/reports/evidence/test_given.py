"""A verb reads an archive of evidence as it reads the file in it, and leaves nothing behind."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from reports.evidence.archive import pack_evidence
from reports.evidence.given import unpack_given
from reports.evidence.kept import folder_of
from tests.reports import world


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    plain = tmp_path / "e.jsonl"
    plain.write_bytes(world.write(world.seal(world.green())))
    folder_of(plain).mkdir()
    (folder_of(plain) / f"{'0' * 64}.jsonl.gz").write_bytes(b"kept")
    pack_evidence(plain, tmp_path / "run.tar.xz")
    return tmp_path / "run.tar.xz"


def test_an_archive_is_read_as_its_file_and_gone_afterwards(archive: Path, tmp_path: Path) -> None:
    plain = tmp_path / "e.jsonl"
    args = Namespace(verb="diff", old=archive, new=None, baseline=[plain, archive])
    with unpack_given(args):
        assert args.old.read_bytes() == args.baseline[1].read_bytes() == plain.read_bytes()
        assert args.new is None and args.baseline[0] == plain
        assert [path.read_bytes() for path in folder_of(args.old).iterdir()] == [b"kept"]
    assert not args.old.exists() and not args.baseline[1].parent.exists()


@pytest.mark.parametrize(
    ("verb", "name"), [("sign", "run.tar.xz"), ("registry", "run.tar.xz"), ("diff", "entry.tar.xz")]
)
def test_what_is_taken_as_it_is_or_is_no_file_stays_as_it_was_named(archive: Path, verb: str, name: str) -> None:
    args = Namespace(verb=verb, evidence=archive.with_name(name))
    with unpack_given(args):
        assert args.evidence == archive.with_name(name)
