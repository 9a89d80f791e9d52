"""`glm-matrix registry`: add certificates to a git directory, check all of them, draw their badges."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from matrix.errors import ConfigError, Problem
from matrix.planning.expand import expand_matrix
from matrix.yaml.load import load_matrix
from reports.certify.command import DAYS, name_file
from reports.certify.command import SUFFIX as CERTIFICATE
from reports.certify.statement import NotCertifiable, Statements, format_statement
from reports.evidence.defuse import defuse_line
from reports.evidence.files import read_records
from reports.evidence.signature import sign_evidence
from reports.registry.archive import NAME, SUFFIX, pack_evidence
from reports.registry.badge import render_badge, render_card
from reports.registry.check import check_entry, find_disagreements
from reports.registry.decay import find_decay
from reports.registry.entries import list_valid, read_registry
from reports.replay.run import replay_evidence

LONGEST_DAYS: Final = 3650
SHOWN: Final = 2  # reasons against one cell


def add_parser(verbs: Any) -> None:
    """Add the verb to the parser of `glm-matrix`."""
    own: argparse.ArgumentParser = verbs.add_parser(
        "registry", help="certificates in a git directory: add, check, badge"
    )
    inner = own.add_subparsers(dest="registry_verb", required=True, metavar="VERB")
    add = inner.add_parser("add", help="judge evidence again, and add what agrees with its certificates")
    add.add_argument("registry", type=Path, metavar="DIR", help="the registry, made where it is absent")
    add.add_argument("evidence", type=Path, metavar="EVIDENCE", help="sealed evidence with its kept replies beside it")
    add.add_argument("--name", default="", help="of the entry (default: the evidence's file name)")
    add.add_argument("--cells", default="*", metavar="GLOB", help="cells to certify (default all)")
    add.add_argument("--days", type=int, default=DAYS, metavar="N", help="how long they hold (default %(default)s)")
    add.add_argument("--key", type=Path, metavar="FILE", help="sign each with this SSH key (ssh-keygen -Y)")
    check = inner.add_parser("check", help="derive every certificate again from its raw replies")
    check.add_argument("registry", type=Path, metavar="DIR", help="the registry")
    badge = inner.add_parser("badge", help="draw the badge of each certificate, and print its line for a model card")
    badge.add_argument("registry", type=Path, metavar="DIR", help="the registry")
    badge.add_argument("--cells", default="*", metavar="GLOB", help="only these cells (default all)")
    badge.add_argument("--out", type=Path, metavar="DIR", help="where the badges go (default: badges in the registry)")


def run_registry(args: argparse.Namespace) -> int:
    """Add, check or draw. 1: a cell was refused, or a certificate does not stand.

    Raises:
        ConfigError, HostError: bad input, or this machine cannot do it.
    """
    today = datetime.now(UTC).date()
    return {"add": _add, "check": _check, "badge": _badge}[args.registry_verb](args, today)


def _add(args: argparse.Namespace, today: date) -> int:
    name = args.name or args.evidence.name.removesuffix(".jsonl")
    _require_sound(args, name)
    statements, replayed = Statements(read_records(args.evidence)), replay_evidence([args.evidence])
    made: dict[str, bytes] = {}
    refused = 0
    for cell in (c for c in statements.rows if fnmatchcase(c, args.cells)):
        problems = list(find_disagreements(cell, replayed))
        try:
            statement = statements.make(cell, issued=today, expires=today + timedelta(days=args.days))
        except NotCertifiable as error:
            problems.insert(0, str(error))
        if problems:
            refused += 1
            _say(f"refused  {cell}: {'; '.join(problems[:SHOWN])}{_more(len(problems) - SHOWN)}")
        else:
            made[cell] = format_statement(statement)
            _say(f"added    {cell}: {statement['predicate']['result']}")
    if made:
        _write_entry(args, name, made)
    _say(f"{len(made)} added, {refused} refused")
    return 1 if refused or not made else 0


def _require_sound(args: argparse.Namespace, name: str) -> None:
    problems = []
    if not NAME.fullmatch(name):
        problems.append(Problem("--name", 0, "", f"expected letters, digits, '.', '_' and '-', got {name!r:.80}"))
    elif (args.registry / f"{name}{SUFFIX}").exists():
        problems.append(Problem("--name", 0, "", f"{args.registry} has an entry {name!r} already; give another name"))
    if not 1 <= args.days <= LONGEST_DAYS:
        problems.append(Problem("--days", 0, "", f"expected 1 to {LONGEST_DAYS}, got {args.days}"))
    if problems:
        raise ConfigError(problems)


def _write_entry(args: argparse.Namespace, name: str, made: Mapping[str, bytes]) -> None:
    folder = args.registry / name
    folder.mkdir(parents=True, exist_ok=True)
    for cell, text in made.items():
        path = folder / f"{name_file(cell)}{CERTIFICATE}"
        path.write_bytes(text)
        if args.key:
            sign_evidence(path, args.key)
    pack_evidence(args.evidence, args.registry / f"{name}{SUFFIX}")


def _check(args: argparse.Namespace, today: date) -> int:
    """Check every entry. An expired certificate stands as history, and is told."""
    counts = {"stand": 0, "expired": 0, "refused": 0}
    for entry in read_registry(args.registry):
        for found in check_entry(entry, today):
            word = "refused" if found.problems else "expired" if found.expired else "stand"
            counts[word] += 1
            for problem in found.problems:
                _say(f"refused  {found.place}: {problem}")
    _say(", ".join(f"{count} {word}" for word, count in counts.items()))
    return 1 if counts["refused"] else 0


def _badge(args: argparse.Namespace, today: date) -> int:
    matrix = load_matrix()
    cells = {cell.id: cell for cell in expand_matrix(matrix).runnable}
    out = args.out or args.registry / "badges"
    out.mkdir(parents=True, exist_ok=True)
    latest = {c.cell: c for e in read_registry(args.registry) for c in sorted(e.certificates, key=lambda c: c.issued)}
    latest |= {c.cell: c for c in list_valid(read_registry(args.registry), today)}
    for cell, found in sorted(latest.items()):
        if fnmatchcase(cell, args.cells):
            decay = find_decay(found, matrix, cells.get(cell), today)
            (out / f"{name_file(cell)}.svg").write_text(render_badge(found, decay), encoding="utf-8")
            sys.stdout.write(render_card(found, decay))
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{defuse_line(text)}\n")


def _more(count: int) -> str:
    return f"; and {count} more" if count > 0 else ""
