"""`glm-matrix diff OLD NEW`: may I upgrade? Exit code 0 for YES, 1 for NO, 3 for UNKNOWN."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from matrix.errors import ConfigError, Problem
from reports.compare.baselines import read_baseline
from reports.evidence.files import read_records
from reports.registry.evidence import read_certified_evidence
from reports.upgrade.cells import parse_maps
from reports.upgrade.comparison import RunComparison, compare_evidence
from reports.upgrade.forms import FORMS

CODES: Final = {"YES": 0, "NO": 1, "UNKNOWN": 3}


def add_parser(verbs: Any) -> None:
    """Add the verb to the parser of `glm-matrix`."""
    own: argparse.ArgumentParser = verbs.add_parser("diff", help="may I upgrade? What changed between two runs")
    own.add_argument("old", type=Path, metavar="OLD.jsonl", help="evidence of the earlier run; see --registry")
    own.add_argument(
        "new", type=Path, nargs="?", metavar="NEW.jsonl", help="evidence of the later run (with --cells: default OLD)"
    )
    own.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="a release, rig or checkpoint of OLD that is called otherwise in NEW; only such cells are compared",
    )
    own.add_argument("--cells", nargs=2, metavar=("A", "B"), help="compare cell A of OLD with cell B of NEW only")
    own.add_argument(
        "--baseline",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="evidence of more launches of OLD, for the noise of its speed",
    )
    own.add_argument(
        "--registry",
        type=Path,
        metavar="DIR",
        help="a registry of certificates: OLD and NEW name its entries, or releases, which are mapped to each other",
    )
    own.add_argument("--format", choices=sorted(FORMS), default="text", help="form of the answer (default %(default)s)")
    own.add_argument("--out", type=Path, metavar="FILE", help="write the answer here, and print its first line only")


def run_diff(args: argparse.Namespace) -> int:
    """Compare, print and return the exit code.

    Raises:
        ConfigError: a file, a map or a cell is wrong.
    """
    found = _compare_given_runs(args)
    text = FORMS[args.format](found)
    if args.out is None:
        sys.stdout.write(f"{text.rstrip()}\n")
    else:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text, encoding="utf-8", errors="replace")
        sys.stdout.write(f"{found.headline}\n{args.out}\n")
    return CODES[found.answer]


def _compare_given_runs(args: argparse.Namespace) -> RunComparison:
    if args.map and args.cells:
        raise ConfigError([Problem("--cells", 0, "", "--cells names both cells; leave out --map")])
    if args.new is None and not args.cells:
        raise ConfigError([Problem("NEW.jsonl", 0, "", "name the later run's evidence, or two cells with --cells A B")])
    earlier = read_baseline(args.baseline) if args.baseline else None
    if args.registry:
        found = read_certified_evidence(args.registry, str(args.old), str(args.new or args.old))
        maps = parse_maps([*args.map, *found.maps]) if not args.cells else {}
        return compare_evidence(found.old, found.new, maps, named=args.cells or (), earlier=earlier)
    old = read_records(args.old)
    new = read_records(args.new) if args.new else old
    return compare_evidence(old, new, parse_maps(args.map), named=args.cells or (), earlier=earlier)
