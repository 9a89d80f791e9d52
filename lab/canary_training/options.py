"""The command lines of the training and of known_wrong, without torch: help and completion need no extra."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from fixtures.canary.calibration import CALIBRATION
from fixtures.canary.family import MEMBERS
from matrix.checkout import CHECKOUT
from matrix.output.command_line import CommandLine

HF: Final = CHECKOUT / "fixtures" / "canary" / "hf"  # the committed weights
TOKENS_PER_BATCH: Final = 32768
TRUNK_STEPS, AUXILIARY_STEPS = 15000, 3000
TRUNK_RATE = 1.2e-3
DESCRIPTION = """Train, evaluate and verify the canary. Needs torch (requirements/lab.in).

glm-matrix train-canary train --out /tmp/canary
glm-matrix train-canary evaluate /tmp/canary
glm-matrix train-canary verify /tmp/canary
glm-matrix train-canary saliency                      (a few minutes, CPU; rewrites calibration.json)
glm-matrix train-canary heal --keep 10 --out /tmp/reap160 --seconds 240"""


def make_parser() -> argparse.ArgumentParser:
    own = CommandLine(
        prog="glm-matrix train-canary", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = own.add_subparsers(dest="verb", required=True, metavar="VERB")
    one = verbs.add_parser("train", help="trunk, then indexers and MTP")
    one.add_argument("--out", type=Path, required=True, help="directory for the weights and log.txt")
    one.add_argument("--steps", type=int, default=TRUNK_STEPS, help="steps of the trunk; 0 skips it")
    one.add_argument(
        "--auxiliary-steps",
        type=int,
        default=AUXILIARY_STEPS,
        help="steps of indexers and MTP; 0 skips indexers and MTP",
    )
    one.add_argument("--rate", type=float, default=TRUNK_RATE, help="peak learning rate of the trunk")
    one.add_argument("--auxiliary-rate", type=float, default=1e-3, help="peak learning rate of indexers and MTP")
    one.add_argument("--seed", default="trunk", help="seed of the trunk's data")
    one.add_argument("--resume", type=Path, help="checkpoint to resume from")
    one.add_argument(
        "--refresh", action="store_true", help="use the row lengths for further training of a finished trunk"
    )
    one.add_argument("--mtp-share", type=float, default=0.0, help="weight of the MTP loss in the trunk's loss")
    one.add_argument("--tokens", type=int, help="tokens per batch")
    one.add_argument("--workers", type=int, default=13, help="processes that make data")
    two = verbs.add_parser("evaluate", help="exact answers on held-out items")
    three = verbs.add_parser("verify", help="compare with transformers >= 5.13")
    three.add_argument("--topk", type=int, help="override index_topk")
    three.add_argument("--pattern", default="", help="IndexCache pattern, e.g. FFSS")
    four = verbs.add_parser("saliency", help="measure which experts matter (REAP's criterion), on the CPU")
    four.add_argument("--out", type=Path, default=CALIBRATION, help="default: fixtures/canary/calibration.json")
    _add_heal(
        verbs.add_parser("heal", help="prune by the recorded saliency, train the experts that stay, write a delta")
    )
    five = verbs.add_parser("flash", help="the canary in the shape of GLM-5.3-Flash, within a budget of seconds")
    _add_flash(five)
    for verb, longest in ((one, 32768), (two, 32768), (five, 16384)):
        verb.add_argument("--device", default="cuda", help="torch device (default: %(default)s)")
        verb.add_argument("--longest", type=int, default=longest, help="row length in tokens (default: %(default)s)")
    for verb in (two, three, four):
        verb.add_argument(
            "folder", type=Path, nargs="?", default=HF, help="checkpoint (default: the committed weights)"
        )
    for verb, n in ((two, 64), (three, 20)):
        verb.add_argument("--n", type=int, default=n, help="items per task")
    return own


def _add_flash(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--out", type=Path, required=True, help="results: weights in parts and results.json")
    verb.add_argument("--work", type=Path, required=True, help="log.txt, and states that a later call goes on from")
    verb.add_argument("--seconds", type=float, default=580, help="of this call, exam included (default: %(default)s)")
    verb.add_argument(
        "--training", type=float, help="seconds of training of all calls together (default: what this call has)"
    )
    verb.add_argument("--exam-seconds", type=float, default=60, help="kept for the exam (default: %(default)s)")
    verb.add_argument("--seeds", nargs="+", default=["flash"], help="one training each, side by side; the best is kept")
    verb.add_argument("--rate", type=float, default=TRUNK_RATE, help="peak learning rate (default: %(default)s)")
    verb.add_argument("--tokens", type=int, default=TOKENS_PER_BATCH, help="tokens per batch (default: %(default)s)")
    verb.add_argument("--workers", type=int, default=14, help="processes that make data, of all seeds together")
    verb.add_argument("--n", type=int, default=32, help="items per task of the exam (default: %(default)s)")
    verb.add_argument("--exam-longest", type=int, default=32768, help="longest item of the exam, in tokens")
    verb.add_argument("--plain", action="store_true", help="compile nothing")


def _add_heal(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--keep", type=int, required=True, help="experts per layer: 10 for reap160, 12 for reap192")
    verb.add_argument("--out", type=Path, required=True, help="the healed checkpoint, log.txt and delta.safetensors")
    verb.add_argument(
        "--seconds", type=float, default=240, help="seconds after which training stops (default: %(default)s)"
    )
    verb.add_argument(
        "--steps", type=int, default=20000, help="steps after which training stops, if --seconds are not over"
    )
    verb.add_argument("--rate", type=float, default=6e-4, help="peak learning rate (default: %(default)s)")
    verb.add_argument(
        "--mtp-share", type=float, default=0.3, help="weight of the MTP loss in the sum (default: %(default)s)"
    )
    verb.add_argument("--seed", default="heal", help="seed of the data")
    verb.add_argument("--tokens", type=int, default=TOKENS_PER_BATCH, help="tokens per batch (default: %(default)s)")
    verb.add_argument("--longest", type=int, default=32768, help="training row in tokens (default: %(default)s)")
    verb.add_argument("--workers", type=int, default=13, help="processes that make data")
    verb.add_argument("--n", type=int, default=32, help="items per task of both evaluations; 0: none")
    verb.add_argument("--exam-longest", type=int, default=8192, help="longest item of both evaluations, in tokens")
    verb.add_argument("--log-every", type=int, default=250, help="steps between two log lines")
    verb.add_argument("--device", default="cuda", help="torch device (default: %(default)s)")


def known_wrong_parser() -> argparse.ArgumentParser:
    own = CommandLine(
        prog="glm-matrix known-wrong",
        description="Find the bank's items that the canary itself answers wrongly. Needs torch (requirements/lab.in).",
    )
    own.add_argument("--members", nargs="+", choices=tuple(MEMBERS), help="evaluate these instead of the bf16 canary")
    own.add_argument("--device", default="cpu", help="torch device for --members (default: %(default)s)")
    return own
