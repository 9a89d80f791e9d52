"""Print a CI file that runs a policy on one machine at night: for GitHub, GitLab, Jenkins, Buildkite or cron.

    glm-matrix recipe gitlab --policy ci/gates/starter/sm120x4.yaml > .gitlab-ci.yml

Each file does the same: environment, plan, cells, verdict (its exit code is the gate's), secrets hidden in logs,
everything kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ci.generated import Files, run_generator
from ci.recipes.render import FORMS
from ci.recipes.steps import make_night
from matrix.errors import ConfigError, Problem
from matrix.output.command_line import CommandLine
from matrix.yaml.load import load_matrix
from reports.planning.quantities import parse_duration

FOLDER: Final = Path("ci/nightly")
SAMPLE: Final = "ci/gates/starter/sm120x4.yaml"
AT: Final = "17 22 * * *"
LABELLED: Final = ("github", "gitlab", "jenkins")  # Buildkite asks for a queue and the rig, cron has one machine
FILES: Final = {
    "github": "github.yml",
    "gitlab": "gitlab-ci.yml",
    "jenkins": "Jenkinsfile",
    "buildkite": "buildkite.yml",
    "cron": "crontab",
    "script": "night.sh",
}


def make_parser() -> argparse.ArgumentParser:
    own = CommandLine(
        prog="glm-matrix recipe", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own.add_argument("form", choices=tuple(FORMS), help="the CI system; `script` is what cron starts")
    own.add_argument("--policy", required=True, metavar="FILE", help="the gate, below the checkout, of one rig's cells")
    own.add_argument(
        "--budget", type=parse_duration, default=8 * 3600.0, metavar="TIME", help="the length of a night (default: 8h)"
    )
    own.add_argument("--at", default=AT, metavar="CRON", help="when, as cron writes it (default: %(default)s)")
    own.add_argument(
        "--labels",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="of the machine, for github, gitlab and jenkins (default: of ci/runners.yaml)",
    )
    return own


def main(words: Sequence[str] | None = None) -> int:
    """Exit codes: 0 printed, 2 bad input."""
    options = make_parser().parse_args(words)
    try:
        if options.labels and options.form not in LABELLED:
            message = f"{options.form} chooses its machine without labels; {', '.join(LABELLED)} take them"
            raise ConfigError([Problem("--labels", 0, repr(options.labels[0]), message)])
        night = make_night(
            load_matrix(),
            options.policy,
            budget_s=options.budget,
            at=options.at,
            labels=tuple(options.labels),
        )
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(FORMS[options.form](night))
    return 0


def make_samples() -> Files:
    """Make the committed files of ci/nightly, as path below the checkout and text."""
    night = make_night(load_matrix(), SAMPLE, budget_s=8 * 3600.0, at=AT)
    return {FOLDER / name: FORMS[form](night) for form, name in FILES.items()}


def write_samples(argv: Sequence[str] | None = None) -> int:
    return run_generator(
        "ci.recipes", "Generates ci/nightly: a night of one rig for every CI system.", make_samples, argv
    )
