"""The verbs of `reports` and their options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from matrix.output import places
from matrix.output.command_line import CommandLine
from reports.certify import command as certify
from reports.gate import assurance
from reports.gate import junit as gate_junit
from reports.history import command as history
from reports.ledger import command as ledger
from reports.registry import command as registry
from reports.reproduce import command as reproduce
from reports.upgrade import command as upgrade


def make_reports_parser(description: str) -> argparse.ArgumentParser:
    """Make the parser of every verb. Its default places are looked up now: a run before may have made one of them."""
    out, evidence = places.locate_out(), places.find_evidence()
    whole = CommandLine(
        prog="glm-matrix", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")
    reading = CommandLine(add_help=False)
    reading.add_argument(
        "--evidence",
        type=Path,
        nargs="+",
        action="extend",
        metavar="FILE",
        help=f"what the runs left; several files are judged as one (default {evidence})",
    )
    judging = CommandLine(add_help=False, parents=[reading])
    judging.add_argument("--policy", type=Path, metavar="FILE", help="what must be green, see reports/gate/policy.py")
    judging.add_argument(
        "--selected-only",
        action="store_true",
        help="judge only the required cells that the runs selected; never for a release",
    )
    assurance.add_arguments(judging)
    _add_judging_verbs(verbs, reading, judging, out)
    upgrade.add_parser(verbs)
    reproduce.add_parsers(verbs)
    ledger.add_parser(verbs)
    history.add_parser(verbs)
    certify.add_parser(verbs)
    registry.add_parser(verbs)
    _add_keeping_verbs(verbs, evidence)
    return whole


def list_evidence(args: argparse.Namespace) -> list[Path]:
    """List the files that a command line names; where it names none, the one that a run leaves."""
    # Not a default of the option: `extend` would read it beside the files that are named.
    return args.evidence or [places.find_evidence()]


def _add_judging_verbs(
    verbs: Any, reading: argparse.ArgumentParser, judging: argparse.ArgumentParser, out: Path
) -> None:
    """Add what shows or judges runs."""
    report = verbs.add_parser("report", parents=[judging], help="table, table.md, index.html and the gate")
    report.add_argument(
        "--out", type=Path, default=out, metavar="FOLDER", help="where the files go (default %(default)s)"
    )
    shown = verbs.add_parser("table", parents=[judging], help="the verdict table")
    shown.add_argument("--markdown", action="store_true", help="print Markdown")
    page = verbs.add_parser("html", parents=[judging], help="an HTML index and a page for each cell")
    page.add_argument(
        "--out",
        type=Path,
        default=out / "index.html",
        metavar="FILE",
        help="the index (default %(default)s); the cells' pages go next to it, into a folder named .cells",
    )
    judge = verbs.add_parser("gate", parents=[judging], help="green or red, and why; also as JUnit")
    judge.add_argument(
        "--junit",
        type=Path,
        default=out / gate_junit.NAME,
        metavar="FILE",
        help="where the verdict goes as JUnit, which CI reads (default %(default)s)",
    )
    verbs.add_parser("predictions", parents=[reading], help="what each feature changed, and whether that was predicted")
    verbs.add_parser("ablation", parents=[judging], help="what each feature changes in speed")


def _add_keeping_verbs(verbs: Any, evidence: Path) -> None:
    """Add what is done to files of runs."""
    again = verbs.add_parser("replay", help="judge what was kept again, without an engine: does it come out the same?")
    again.add_argument(
        "evidence", type=Path, nargs="*", default=[evidence], metavar="EVIDENCE", help=f"files (default {evidence})"
    )
    signing = verbs.add_parser("sign", help="sign evidence with an SSH key (ssh-keygen -Y)")
    signing.add_argument("evidence", type=Path, metavar="EVIDENCE", help="the file to sign")
    signing.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="private key, or the agent's public one"
    )
    _junit_parser(verbs.add_parser("junit", help="merge or verify JUnit files"))
    hiding = verbs.add_parser("redact", help="overwrite secrets in files and folders, in place")
    hiding.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="files, or whole folders")


def _junit_parser(own: argparse.ArgumentParser) -> None:
    verbs = own.add_subparsers(dest="junit_verb", required=True, metavar="VERB")
    merge = verbs.add_parser("merge", help="several jobs' files as one")
    merge.add_argument("out", type=Path, metavar="OUT.xml", help="the file to write")
    merge.add_argument("files", type=Path, nargs="+", metavar="FILE.xml", help="the jobs' files")
    verify = verbs.add_parser("verify", help="structure, counters, properties, expected cells")
    verify.add_argument("file", type=Path, metavar="FILE.xml", help="the file to look at")
    for verb in (merge, verify):
        verb.add_argument(
            "--evidence",
            type=Path,
            nargs="*",
            action="extend",
            default=[],
            metavar="FILE",
            help="the runs' evidence: which cells were to be run",
        )
