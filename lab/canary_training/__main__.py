"""`glm-matrix train-canary`, or `glm-matrix train-canary`: train, evaluate and verify the canary."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from fixtures.canary.checkpoint import CheckpointDirectory
from lab.canary_training import auxiliary, trunk
from lab.canary_training.checkpoint import load_weights, read_model, save_checkpoint
from lab.canary_training.evaluate import evaluate_model
from lab.canary_training.model import Canary
from lab.canary_training.options import make_parser
from lab.canary_training.samples import REFRESH_PLAN, TRUNK_PLAN


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 2 bad input."""
    options = make_parser().parse_args(argv)
    RUNS[options.verb](options)
    return 0


def train(options: argparse.Namespace) -> None:
    log = _logger(options.out)
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    model = Canary()
    if options.resume:
        load_weights(model, options.resume)
    model.to(options.device)
    log(f"torch {torch.__version__}, {sum(p.numel() for p in model.parameters())} parameters")
    shared = {"longest": options.longest, "workers": options.workers, "device": options.device}
    shared |= {"tokens": options.tokens} if options.tokens else {}
    if options.steps:
        settings = trunk.TrunkSettings(
            steps=options.steps,
            learning_rate=options.rate,
            seed=options.seed,
            plan=REFRESH_PLAN if options.refresh else TRUNK_PLAN,
            mtp_share=options.mtp_share,
            **shared,
        )
        trunk.train_trunk(model, settings, options.out, log)
        # saved in between: the auxiliary part may be run again on this trunk alone (--resume, --steps 0)
        log(f"trunk done, sha256 {save_checkpoint(model, options.out)}")
    if options.auxiliary_steps:
        # a checkpoint that is resumed has an MTP layer of its own, which a copy of the last layer would throw away
        if not options.resume:
            model.start_mtp_from_last_layer()
        riders = auxiliary.AuxiliarySettings(
            steps=options.auxiliary_steps, learning_rate=options.auxiliary_rate, **shared
        )
        auxiliary.train_auxiliary(model, riders, log)
    log(f"done, sha256 {save_checkpoint(model, options.out)}")


def evaluate_folder(options: argparse.Namespace) -> None:
    log = _logger(options.folder)
    scores = evaluate_model(
        read_model(options.folder).to(options.device), options.device, log, n=options.n, longest=options.longest
    )
    (options.folder / "evaluation.json").write_text(json.dumps(scores, indent=1) + "\n")


def measure_saliency(options: argparse.Namespace) -> None:
    from lab.canary_training.saliency import measure_experts

    table = {"weights_sha256": CheckpointDirectory(options.folder).weights_sha256()}
    table |= measure_experts(read_model(options.folder), print)
    options.out.write_text(json.dumps(table, indent=1) + "\n")


def heal_pruned(options: argparse.Namespace) -> None:
    from lab.canary_training.heal import Exam, heal_checkpoint

    log = _logger(options.out)
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    settings = trunk.TrunkSettings(
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
    heal_checkpoint(options.keep, options.out, settings, Exam(n=options.n, longest=options.exam_longest), log)


def train_flash_canary(options: argparse.Namespace) -> None:
    from lab.canary_training.flash.seeds import train_seeds

    train_seeds(options, _logger(options.work))


def verify_folder(options: argparse.Namespace) -> None:
    from lab.canary_training.verify import verify_checkpoint  # transformers: only this verb needs it

    verify_checkpoint(options.folder, print, n=options.n, topk=options.topk, pattern=options.pattern)


def _logger(folder: Path) -> Callable[[str], None]:
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()

    def log(line: str) -> None:
        line = f"[{time.monotonic() - begin:6.1f}] {line}"
        # flushed and appended line by line: a run that is killed has told how far it came
        print(line, flush=True)
        with (folder / "log.txt").open("a") as file:
            file.write(line + "\n")

    return log


RUNS: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "train": train,
    "evaluate": evaluate_folder,
    "verify": verify_folder,
    "saliency": measure_saliency,
    "heal": heal_pruned,
    "flash": train_flash_canary,
}

if __name__ == "__main__":
    sys.exit(main())
