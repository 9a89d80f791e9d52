"""Train, evaluate and verify the canary.

python -m lab.canary_training train --out /tmp/canary
python -m lab.canary_training evaluate /tmp/canary
python -m lab.canary_training verify /tmp/canary
python -m lab.canary_training saliency                      (a few minutes, CPU; rewrites calibration.json)
python -m lab.canary_training heal --keep 10 --out /tmp/reap160 --seconds 240
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

from fixtures.canary.calibration import CALIBRATION
from fixtures.canary.checkpoint import CheckpointDirectory
from lab.canary_training import auxiliary, trunk
from lab.canary_training.checkpoint import HF, load, read, save
from lab.canary_training.evaluate import evaluate
from lab.canary_training.model import Canary
from lab.canary_training.samples import REFRESH_PLAN, TOKENS_PER_BATCH, TRUNK_PLAN

TRUNK_STEPS, AUXILIARY_STEPS = 15000, 3000
TRUNK_RATE = 1.2e-3


def main() -> None:
    options = _parser().parse_args()
    options.run(options)


def train(options: argparse.Namespace) -> None:
    log = _logger(options.out)
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    model = Canary()
    if options.resume:
        load(model, options.resume)
    model.to(options.device)
    log(f"torch {torch.__version__}, {sum(p.numel() for p in model.parameters())} parameters")
    shared = {"longest": options.longest, "workers": options.workers, "device": options.device}
    shared |= {"tokens": options.tokens} if options.tokens else {}
    if options.steps:
        settings = trunk.Settings(
            steps=options.steps,
            learning_rate=options.rate,
            seed=options.seed,
            plan=REFRESH_PLAN if options.refresh else TRUNK_PLAN,
            mtp_share=options.mtp_share,
            **shared,
        )
        trunk.train_trunk(model, settings, options.out, log)
        log(f"trunk done, sha256 {save(model, options.out)}")
    if options.auxiliary_steps:
        if not options.resume:
            model.start_mtp_from_last_layer()
        riders = auxiliary.Settings(steps=options.auxiliary_steps, learning_rate=options.auxiliary_rate, **shared)
        auxiliary.train_auxiliary(model, riders, log)
    log(f"done, sha256 {save(model, options.out)}")


def evaluate_folder(options: argparse.Namespace) -> None:
    log = _logger(options.folder)
    scores = evaluate(
        read(options.folder).to(options.device), options.device, log, n=options.n, longest=options.longest
    )
    (options.folder / "evaluation.json").write_text(json.dumps(scores, indent=1) + "\n")


def measure_saliency(options: argparse.Namespace) -> None:
    from lab.canary_training.saliency import measure

    table = {"weights_sha256": CheckpointDirectory(options.folder).weights_sha256()}
    table |= measure(read(options.folder), print)
    options.out.write_text(json.dumps(table, indent=1) + "\n")


def heal_pruned(options: argparse.Namespace) -> None:
    from lab.canary_training.heal import Exam, heal

    log = _logger(options.out)
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    settings = trunk.Settings(
        steps=options.steps,
        learning_rate=options.rate,
        seed=options.seed,
        plan=REFRESH_PLAN,
        mtp_share=options.mtp_share,
        moe_only=True,
        seconds=options.seconds,
        tokens=options.tokens,
        longest=options.longest,
        workers=options.workers,
        device=options.device,
        log_every=options.log_every,
    )
    heal(options.keep, options.out, settings, Exam(n=options.n, longest=options.exam_longest), log)


def verify_folder(options: argparse.Namespace) -> None:
    from lab.canary_training.verify import verify  # transformers: only this verb needs it

    verify(options.folder, print, n=options.n, topk=options.topk, pattern=options.pattern)


def _logger(folder: Path) -> Callable[[str], None]:
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()

    def log(line: str) -> None:
        line = f"[{time.monotonic() - begin:6.1f}] {line}"
        print(line, flush=True)
        with (folder / "log.txt").open("a") as file:
            file.write(line + "\n")

    return log


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab.canary_training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True)
    one = verbs.add_parser("train", help="trunk, then indexers and MTP")
    one.set_defaults(run=train)
    one.add_argument("--out", type=Path, required=True)
    one.add_argument("--steps", type=int, default=TRUNK_STEPS, help="of the trunk; 0 skips it")
    one.add_argument("--auxiliary-steps", type=int, default=AUXILIARY_STEPS, help="0 skips indexers and MTP")
    one.add_argument("--rate", type=float, default=TRUNK_RATE, help="peak learning rate of the trunk")
    one.add_argument("--auxiliary-rate", type=float, default=1e-3)
    one.add_argument("--seed", default="trunk", help="of the trunk's data")
    one.add_argument("--resume", type=Path, help="weights to go on from")
    one.add_argument("--refresh", action="store_true", help="the row lengths for a finished trunk trained further")
    one.add_argument("--mtp-share", type=float, default=0.0, help="of MTP's loss in the trunk's")
    one.add_argument("--tokens", type=int, help="per batch")
    one.add_argument("--workers", type=int, default=13, help="processes that make data")
    two = verbs.add_parser("evaluate", help="exact answers on held-out items")
    two.set_defaults(run=evaluate_folder)
    three = verbs.add_parser("verify", help="compare with transformers >= 5.13")
    three.set_defaults(run=verify_folder)
    three.add_argument("--topk", type=int, help="override index_topk")
    three.add_argument("--pattern", default="", help="IndexCache pattern, e.g. FFSS")
    four = verbs.add_parser("saliency", help="measure which experts matter (REAP's criterion), on the CPU")
    four.set_defaults(run=measure_saliency)
    four.add_argument("--out", type=Path, default=CALIBRATION, help="default: %(default)s")
    _add_heal(
        verbs.add_parser("heal", help="prune by the recorded saliency, train the experts that stay, write a delta")
    )
    for verb in (one, two):
        verb.add_argument("--device", default="cuda")
        verb.add_argument("--longest", type=int, default=32768, help="row length in tokens")
    for verb in (two, three, four):
        verb.add_argument("folder", type=Path, nargs="?", default=HF)
    for verb, n in ((two, 64), (three, 20)):
        verb.add_argument("--n", type=int, default=n, help="items per task")
    return parser


def _add_heal(verb: argparse.ArgumentParser) -> None:
    verb.set_defaults(run=heal_pruned)
    verb.add_argument("--keep", type=int, required=True, help="experts per layer: 10 for reap160, 12 for reap192")
    verb.add_argument("--out", type=Path, required=True, help="the healed checkpoint, log.txt and delta.safetensors")
    verb.add_argument("--seconds", type=float, default=240, help="training stops then (default: %(default)s)")
    verb.add_argument("--steps", type=int, default=20000, help="training stops then, if --seconds are not over")
    verb.add_argument("--rate", type=float, default=6e-4, help="peak learning rate (default: %(default)s)")
    verb.add_argument("--mtp-share", type=float, default=0.3, help="of MTP's loss in the sum (default: %(default)s)")
    verb.add_argument("--seed", default="heal", help="of the data")
    verb.add_argument("--tokens", type=int, default=TOKENS_PER_BATCH, help="per batch (default: %(default)s)")
    verb.add_argument("--longest", type=int, default=32768, help="training row in tokens (default: %(default)s)")
    verb.add_argument("--workers", type=int, default=13, help="processes that make data")
    verb.add_argument("--n", type=int, default=32, help="items per task of both evaluations; 0: none")
    verb.add_argument("--exam-longest", type=int, default=8192, help="longest item of both evaluations, in tokens")
    verb.add_argument("--log-every", type=int, default=250, help="steps")
    verb.add_argument("--device", default="cuda")


if __name__ == "__main__":
    main()
