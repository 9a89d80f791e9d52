"""`glm-matrix registry`: add certificates to a git directory, check all of them, draw their badges."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from matrix.planning.expand import expand_matrix
from matrix.planning.named import list_runnable_named
from matrix.yaml.load import load_matrix
from reports.certify.command import DAYS, add_unasked_speed, name_file
from reports.evidence.defuse import defuse_line
from reports.registry.adding import add_entry
from reports.registry.badge import render_badge, render_card, render_endpoint
from reports.registry.check import Checked, check_entry
from reports.registry.decay import find_decay
from reports.registry.entries import RegistryEntry, list_valid, read_registry
from reports.replay.run import replay_evidence


def add_parser(verbs: Any) -> None:
    """Add the verb to the parser of `glm-matrix`."""
    own: argparse.ArgumentParser = verbs.add_parser(
        "registry", help="certificates in a git directory: add, check, badge"
    )
    inner = own.add_subparsers(dest="registry_verb", required=True, metavar="VERB")
    add = inner.add_parser("add", help="judge evidence again, and add what agrees with its certificates")
    add.add_argument("registry", type=Path, metavar="DIR", help="the registry, made where it is absent")
    add.add_argument(
        "evidence",
        type=Path,
        metavar="EVIDENCE",
        help="sealed evidence with its kept replies beside it, or an archive of both (NAME.tar.xz), also one that lies"
        " in the registry",
    )
    add.add_argument("--name", default="", help="of the entry (default: the evidence's file name)")
    add.add_argument(
        "--link",
        action="store_true",
        help="link to the archive, where registry and archive lie in one repository, in place of a copy",
    )
    add.add_argument("--cells", default="*", metavar="GLOB", help="cells to certify (default all)")
    add.add_argument("--days", type=int, default=DAYS, metavar="N", help="how long they hold (default %(default)s)")
    add_unasked_speed(add)
    add.add_argument("--key", type=Path, metavar="FILE", help="sign each with this SSH key (ssh-keygen -Y)")
    check = inner.add_parser("check", help="derive every certificate again from its raw replies")
    check.add_argument("registry", type=Path, nargs="+", metavar="DIR", help="the registry, or several")
    badge = inner.add_parser(
        "badge",
        help="draw the badge of each certificate (SVG, and JSON for shields), and print its line for a model card",
    )
    badge.add_argument("registry", type=Path, metavar="DIR", help="the registry")
    badge.add_argument("--cells", default="*", metavar="GLOB", help="only these cells (default all)")
    badge.add_argument("--out", type=Path, metavar="DIR", help="where the badges go (default: badges in the registry)")


def run_registry(args: argparse.Namespace) -> int:
    """Add, check or draw. 1: a cell was refused, or a certificate does not stand.

    Raises:
        ConfigError, HostError: bad input, or this machine cannot do it.
    """
    today = datetime.now(UTC).date()
    return {"add": add_entry, "check": _check_entries, "badge": _badge}[args.registry_verb](args, today)


def _check_entries(args: argparse.Namespace, today: date) -> int:
    """Check every entry. An expired certificate stands as history, and is told."""
    counts = {"stand": 0, "expired": 0, "refused": 0}
    entries = [entry for registry in args.registry for entry in read_registry(registry)]
    for found in _check_beside_each_other(entries, today):
        word = "refused" if found.problems else "expired" if found.expired else "stand"
        counts[word] += 1
        for problem in found.problems:
            _write_line(f"refused  {found.place}: {problem}")
    _write_line(", ".join(f"{count} {word}" for word, count in counts.items()))
    return 1 if counts["refused"] else 0


def _check_beside_each_other(entries: Sequence[RegistryEntry], today: date) -> Iterator[Checked]:
    """Yield what is found of each entry, in their order; a replay is a process of its own, so every core has one."""
    unwanted = Event()
    check = partial(check_entry, today=today, replay=partial(replay_evidence, unwanted=unwanted))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for found in pool.map(lambda entry: [*check(entry)], entries):
                yield from found
        finally:
            # Before the pool ends, which waits for its threads.
            unwanted.set()


def _badge(args: argparse.Namespace, today: date) -> int:
    matrix = load_matrix()
    cells = {cell.id: cell for cell in expand_matrix(matrix).runnable}
    out = args.out or args.registry / "badges"
    out.mkdir(parents=True, exist_ok=True)
    latest = {c.cell: c for e in read_registry(args.registry) for c in sorted(e.certificates, key=lambda c: c.issued)}
    # One that holds outranks a later one that does not; where none holds, the last one shows what decayed.
    latest |= {c.cell: c for c in list_valid(read_registry(args.registry), today)}
    # A cell may be certified that no default selection makes, a set of features that somebody named.
    cells |= {cell.id: cell for cell in list_runnable_named(matrix, sorted({*latest} - {*cells}))}
    for cell, found in sorted(latest.items()):
        if fnmatchcase(cell, args.cells):
            decay = find_decay(found, matrix, cells.get(cell), today)
            (out / f"{name_file(cell)}.svg").write_text(render_badge(found, decay), encoding="utf-8")
            (out / f"{name_file(cell)}.json").write_text(render_endpoint(found, decay), encoding="utf-8")
            sys.stdout.write(render_card(found, decay))
    return 0


def _write_line(text: str) -> None:
    sys.stdout.write(f"{defuse_line(text)}\n")
