"""Train one seed here, or several side by side in processes of their own, and keep the best by its exam."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from lab.canary_training.flash.parts import RESULTS
from lab.canary_training.flash.train import FlashSettings, train_flash
from lab.canary_training.trunk import Log

CHILD_MARGIN_S = 8  # what choosing and copying takes after the last process


def train_seeds(options: argparse.Namespace, log: Log) -> None:
    begin = time.monotonic()
    if len(options.seeds) == 1:
        results = train_flash(_settings(options), log, begin)
        log(f"score {results['score']:.4f}, peak {results['peak_gib']} GiB, {results['call_seconds']} s")
        return
    folders = {seed: options.work / seed / "out" for seed in options.seeds}
    children = {seed: subprocess.Popen(_command(options, seed, folders[seed])) for seed in options.seeds}
    for seed, child in children.items():
        log(f"{seed}: exit code {child.wait()}")
    keep_best([folder for folder in folders.values() if (folder / RESULTS).is_file()], options.out, log)


def keep_best(folders: list[Path], out: Path, log: Log) -> None:
    """Copy the results with the highest score."""
    scores = {folder: float(json.loads((folder / RESULTS).read_text()).get("score", -1)) for folder in folders}
    for folder, score in scores.items():
        log(f"{folder.parent.name}: score {score:.4f}")
    out.mkdir(parents=True, exist_ok=True)
    best = sorted(folders, key=lambda folder: scores[folder])[-1]
    for file in sorted(best.iterdir()):
        shutil.copyfile(file, out / file.name)
    log(f"kept {best.parent.name}")


def _settings(options: argparse.Namespace) -> FlashSettings:
    return FlashSettings(
        out=options.out,
        work=options.work,
        seconds=options.seconds,
        training=options.training,
        seed=options.seeds[0],
        rate=options.rate,
        tokens=options.tokens,
        longest=options.longest,
        workers=options.workers,
        device=options.device,
        n=options.n,
        exam_longest=options.exam_longest,
        exam_seconds=options.exam_seconds,
        fuse=not options.plain,
    )


def _command(options: argparse.Namespace, seed: str, out: Path) -> list[str]:
    shared = {
        "--seconds": options.seconds - CHILD_MARGIN_S,
        "--exam-seconds": options.exam_seconds,
        "--rate": options.rate,
        "--tokens": options.tokens,
        "--longest": options.longest,
        "--workers": options.workers // len(options.seeds),
        "--device": options.device,
        "--n": options.n,
        "--exam-longest": options.exam_longest,
    }
    shared |= {"--training": options.training} if options.training else {}
    words = [word for name, value in shared.items() for word in (name, str(value))]
    folders = ["--out", str(out.absolute()), "--work", str((options.work / seed).absolute())]
    plain = ["--plain"] if options.plain else []
    return [sys.executable, "-m", "lab.canary_training", "flash", *folders, "--seeds", seed, *words, *plain]
