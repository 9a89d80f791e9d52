"""Adds an entry to a registry: judges the evidence again, and certifies the cells that agree.

    glm-matrix registry add registry evidence.jsonl            packs evidence and kept replies, and certifies
    glm-matrix registry add registry registry/NAME.tar.xz      certifies an archive that lies there already, or again
    glm-matrix registry add registry docs/NAME.tar.xz --link   links to an archive that lies elsewhere in the repository

The archive comes first and whole, then one certificate after the other, each renamed into place: a crash leaves an
entry that the same command completes. A name belongs to the evidence that had it first.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from matrix.errors import ConfigError, HostError, Problem
from reports.certify.command import SUFFIX as CERTIFICATE
from reports.certify.command import name_file
from reports.certify.speed import parse_unasked_speed
from reports.certify.statement import NotCertifiable, Statements, format_statement, tell_result
from reports.evidence.archive import NAME, SUFFIX, pack_evidence, unpack_evidence
from reports.evidence.defuse import defuse_line
from reports.evidence.files import GZIP, read_records
from reports.evidence.signature import sign_evidence
from reports.registry.check import find_disagreements
from reports.replay.run import replay_evidence

LONGEST_DAYS: Final = 3650
SHOWN: Final = 2  # reasons against one cell
EVIDENCE: Final = ".jsonl"


def add_entry(args: argparse.Namespace, today: date) -> int:
    """Add an entry, or certificates to the one that holds this evidence. 1: a cell was refused.

    Raises:
        ConfigError: a bad option, no evidence, or the name is another evidence's.
        HostError: the registry cannot be written to, or a replay did not end.
    """
    name = args.name or args.evidence.name.removesuffix(SUFFIX).removesuffix(GZIP).removesuffix(EVIDENCE)
    _require_sound(args, name)
    target = args.registry / f"{name}{SUFFIX}"
    try:
        args.registry.mkdir(parents=True, exist_ok=True)
        with (
            _unpack_evidence(args.evidence) as evidence,
            _draft_archive(args.evidence, evidence, target, link=args.link) as draft,
        ):
            made, refused = _make_certificates(evidence, args, today)
            # An archive without any certificate would be an entry that every check refuses.
            if made:
                _move_into_place(draft, target)
                _write_certificates(target.with_name(name), made, args.key)
    except OSError as error:
        raise HostError(f"{target}: the entry cannot be written: {error.strerror or error}") from error
    sys.stdout.write(f"{len(made)} added, {refused} refused\n")
    return 1 if refused or not made else 0


def _require_sound(args: argparse.Namespace, name: str) -> None:
    problems = []
    if not NAME.fullmatch(name):
        problems.append(Problem("--name", 0, "", f"expected letters, digits, '.', '_' and '-', got {name!r:.80}"))
    if args.link and not args.evidence.name.endswith(SUFFIX):
        problems.append(Problem("--link", 0, "", f"expected an archive (NAME{SUFFIX}), got {args.evidence.name!r:.80}"))
    if not 1 <= args.days <= LONGEST_DAYS:
        problems.append(Problem("--days", 0, "", f"expected 1 to {LONGEST_DAYS}, got {args.days}"))
    if problems:
        raise ConfigError(problems)
    parse_unasked_speed(args.speed_unasked)  # before anything is read or written


@contextmanager
def _unpack_evidence(given: Path) -> Iterator[Path]:
    """Yield the evidence file: as given, or unpacked from an archive."""
    if not given.name.endswith(SUFFIX):
        yield given
        return
    with TemporaryDirectory(prefix="glm-registry-") as folder:
        yield unpack_evidence(given, Path(folder))


@contextmanager
def _draft_archive(given: Path, evidence: Path, target: Path, *, link: bool) -> Iterator[Path]:
    """Yield the archive under another name beside its place, packed unless it was given as one.

    Raises:
        ConfigError: another archive has the name.
    """
    read_records(evidence)  # what is no evidence is said before anything is written
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    try:
        if link:
            # Relative, as git keeps it: an absolute link leads nowhere in the next clone.
            draft.symlink_to(os.path.relpath(given.absolute(), target.parent.absolute()))
        elif given.name.endswith(SUFFIX):
            shutil.copyfile(given, draft)
        else:
            pack_evidence(evidence, draft, target.name.removesuffix(SUFFIX))
        _require_same(draft, target)
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _require_same(draft: Path, target: Path) -> None:
    if target.exists() and target.read_bytes() != draft.read_bytes():
        message = f"{target.parent} has an entry {target.name.removesuffix(SUFFIX)!r} of other evidence already"
        raise ConfigError([Problem("--name", 0, "", f"{message}; give another name")])


def _move_into_place(draft: Path, target: Path) -> None:
    """Put the archive into its place, which another writer may have taken meanwhile."""
    try:
        # A link fails where a rename would replace: two writers of one name must not leave the later one's evidence.
        os.link(draft, target, follow_symlinks=False)
    except FileExistsError:
        _require_same(draft, target)


def _make_certificates(evidence: Path, args: argparse.Namespace, today: date) -> tuple[Mapping[str, bytes], int]:
    """Make the certificates of the cells that agree; say each, and count those that are refused."""
    # Once for all cells: a replay starts pytest, and judges the whole evidence in one go.
    statements, replayed = Statements(read_records(evidence)), replay_evidence([evidence])
    unasked, expires = parse_unasked_speed(args.speed_unasked), today + timedelta(days=args.days)
    made: dict[str, bytes] = {}
    refused = 0
    for cell in (c for c in statements.rows if fnmatchcase(c, args.cells)):
        problems = list(find_disagreements(cell, replayed))
        try:
            statement = statements.make(cell, issued=today, expires=expires, unasked=unasked)
            if (ran := statement["predicate"]["glmMatrix"]["ran"]) > today.isoformat():
                problems.append(f"its last answer is of {ran}, and today is {today}: a clock is wrong")
        except NotCertifiable as error:
            problems.insert(0, str(error))
        # A cell that is refused does not keep the others out; the exit code tells it.
        if problems:
            refused += 1
            more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
            _write_line(f"refused  {cell}: {'; '.join(problems[:SHOWN])}{more}")
        else:
            made[cell] = format_statement(statement)
            _write_line(f"added    {cell}: {tell_result(statement)}")
    return made, refused


def _write_certificates(folder: Path, made: Mapping[str, bytes], key: Path | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for cell, text in made.items():
        path = folder / f"{name_file(cell)}{CERTIFICATE}"
        draft = folder / f".{path.name}.{os.getpid()}.draft"
        try:
            draft.write_bytes(text)
            draft.replace(path)  # a renewed certificate takes its predecessor's place: git has the history
        finally:
            draft.unlink(missing_ok=True)
        if key:
            sign_evidence(path, key)


def _write_line(text: str) -> None:
    sys.stdout.write(f"{defuse_line(text)}\n")
