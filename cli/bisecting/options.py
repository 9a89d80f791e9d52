"""The options of `glm-matrix bisect`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from matrix.output import places
from matrix.output.command_line import CommandLine
from matrix.planning.owed import DEPTHS
from reports.history.command import parse_positive

BOOTS: Final = 40

ALL: Final = "every test that the cell owes"


def make_bisect_parser(description: str) -> argparse.ArgumentParser:
    own = CommandLine(
        prog="glm-matrix bisect", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own.add_argument(
        "cell", metavar="CELL", help="a cell's id, as glm-matrix list shows them; any release of its engine"
    )
    own.add_argument("--good", required=True, metavar="RELEASE", help="a release that passes, e.g. sglang==0.5.17")
    own.add_argument("--bad", required=True, metavar="RELEASE", help="one that fails; it may be the older one")
    own.add_argument("--test", default="", metavar="TEST", help=f"function of a suite (default: {ALL} at --depth)")
    own.add_argument("--depth", choices=DEPTHS, default="quick", help="how much each test asks (default %(default)s)")
    own.add_argument(
        "--releases", default="", metavar="V,V", help="releases between that have no snapshot and are not on the axes"
    )
    own.add_argument(
        "--boots", type=parse_positive, default=BOOTS, metavar="N", help="boot at most so often (default %(default)s)"
    )
    own.add_argument(
        "--confidence", type=_read_rate, default=0.95, metavar="P", help="when to stop (default %(default)s)"
    )
    own.add_argument(
        "--fails-at-least",
        type=_read_rate,
        default=0.8,
        metavar="P",
        help="a bad release fails at least so often (default %(default)s)",
    )
    own.add_argument(
        "--false-alarms",
        type=_read_rate,
        default=0.01,
        metavar="P",
        help="a good release fails at most so often (default %(default)s)",
    )
    own.add_argument(
        "--evidence", type=Path, nargs="+", default=[], metavar="FILE", help="ask these runs (or folders), no engine"
    )
    own.add_argument(
        "--continue",
        dest="resumed",
        action="store_true",
        help="go on with a search below --out that was cut short: its boots are not made again",
    )
    own.add_argument("--no-settings", action="store_true", help="stop at the release; do not take settings away")
    own.add_argument("--dry-run", action="store_true", help="say what changed and what would be asked; start nothing")
    own.add_argument("--json", action="store_true", help="one JSON object")
    own.add_argument(
        "--out",
        type=Path,
        default=places.locate_out() / "bisect",
        metavar="DIR",
        help="where everything goes (default %(default)s)",
    )
    own.add_argument(
        "--owner", default="", metavar="NAME", help="of the known failure's draft (default: your user name)"
    )
    own.add_argument("--issue", default="", metavar="URL", help="of the known failure's draft (default: the tracker)")
    return own


def _read_rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a rate between 0 and 1, got {text!r}")
    return value
