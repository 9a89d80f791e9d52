"""Train the flash canary within a budget of seconds, and leave what it learned even when it is cut short.

The clock, not a count of steps, drives row lengths and rates: a slower machine trains less and ends as well. After
`TRUNK_SHARE` of the time the trunk is frozen and the indexers learn. `state.pt` in the working folder carries on where
a call before has stopped; the folder of results holds the weights in parts and one JSON file.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from lab.canary_training.attention import Pass
from lab.canary_training.flash.exam import count_right, hold_exam
from lab.canary_training.flash.fusion import is_fused, stop_fusion, try_fusion
from lab.canary_training.flash.lesson import indexer_losses, select_indexers
from lab.canary_training.flash.model import FlashCanary
from lab.canary_training.flash.parts import write_results
from lab.canary_training.flash.sinkhorn import try_kernel
from lab.canary_training.flash_config import FLASH, FlashConfig
from lab.canary_training.options import TOKENS_PER_BATCH
from lab.canary_training.precision import autocast, compute_dtype
from lab.canary_training.samples import AUXILIARY_PLAN, Batches, Plan, make_loader
from lab.canary_training.trunk import (
    Log,
    format_means,
    make_adamw,
    scale_rate,
    set_rate,
    step_optimizer,
    to_device,
    weighted_loss,
)

TRUNK_SHARE: Final = 0.84  # of the training's time; indexers learn in the rest
SLACK_S: Final = 3
ENOUGH_STEPS: Final = 1_000_000  # the clock ends a run, not this
FLASH_PLAN: Plan = (
    (0.00, {256: 0.70, 512: 0.30}),
    (0.12, {256: 0.35, 512: 0.40, 1024: 0.25}),
    (0.24, {256: 0.20, 512: 0.42, 1024: 0.20, 2048: 0.18}),
    (0.38, {256: 0.15, 512: 0.42, 1024: 0.16, 2048: 0.15, 4096: 0.12}),
    (0.54, {256: 0.12, 512: 0.45, 1024: 0.14, 2048: 0.10, 4096: 0.10, 8192: 0.09}),
    (0.72, {256: 0.10, 512: 0.48, 1024: 0.14, 2048: 0.07, 4096: 0.07, 8192: 0.07, 16384: 0.07}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashSettings:
    out: Path
    work: Path
    seconds: float
    training: float | None = None  # of all calls together; None: what this call has left
    seed: str = "flash"
    config: FlashConfig = FLASH
    rate: float = 1.2e-3
    indexer_rate: float = 1.5e-3
    tokens: int = TOKENS_PER_BATCH
    longest: int = 16384
    workers: int = 13
    device: str = "cuda"
    n: int = 32
    exam_longest: int = 32768
    exam_seconds: float = 60
    fuse: bool = True
    log_every: int = 200
    save_every_s: float = 60


@dataclass(slots=True)
class Progress:
    """What `state.pt` keeps beside the weights."""

    seconds: float = 0  # of training, in all calls
    steps: dict[str, int] = field(default_factory=lambda: {"trunk": 0, "indexers": 0})
    tokens: int = 0
    losses: list[str] = field(default_factory=list)


class TimedBatches(Batches):
    """Batches whose row lengths follow a clock that all processes read."""

    def __init__(self, seed: str, plan: Plan, clock: Any, first: int, *, tokens: int, longest: int) -> None:
        super().__init__(seed, ENOUGH_STEPS, plan, tokens=tokens, longest=longest)
        self.clock, self.first = clock, first

    def progress(self, step: int) -> float:
        return float(self.clock.value)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        return super().__getitem__(self.first + step)


def train_flash(settings: FlashSettings, log: Log, begin: float) -> dict[str, Any]:
    """Train until the call's seconds since `begin` are over, hold the exam if the training is, and write results."""
    torch.manual_seed(int.from_bytes(settings.seed.encode()[:6], "big"))
    torch.set_float32_matmul_precision("high")
    model = FlashCanary(settings.config).to(settings.device)
    run = FlashRun(model, settings, log, begin)
    run.restore()
    try_kernel(settings.device, log)
    if settings.fuse and settings.device != "cpu":
        warm_up(model, settings, log)
    run.train()
    scores = []
    if run.is_over():
        until = begin + settings.seconds - 10
        scores = hold_exam(model, settings.device, log, n=settings.n, longest=settings.exam_longest, until=until)
    results = run.describe() | {"score": count_right(scores), "exam": scores}
    write_results(model, settings.out, results)
    return results


def warm_up(model: FlashCanary, settings: FlashSettings, log: Log) -> None:
    """Compile what is fused, on two shapes, forward and backward, and compare with what is not."""
    begin = time.monotonic()
    ids = torch.randint(0, 2000, (8, 256), device=settings.device)

    def compute(rows: Tensor) -> Tensor:
        with autocast(settings.device):
            loss = weighted_loss(model, model(rows, dtype=compute_dtype(settings.device)), rows, torch.ones_like(rows))
        loss.backward()
        model.zero_grad(set_to_none=True)
        return loss.detach()

    def check() -> None:
        for rows in (ids, ids.view(4, 512), ids.view(2, 1024)):
            compute(rows)
        fused = compute(ids)
        stop_fusion()
        plain = compute(ids)
        try_fusion(lambda: None, log)
        if not torch.allclose(fused, plain, rtol=0.01):
            raise ValueError(f"the fused loss is {fused.item():.4f}, the plain one {plain.item():.4f}")

    model.eval()  # no router balances on noise
    select_trunk(model)
    try_fusion(check, log)
    model.requires_grad_(True)
    model.zero_grad(set_to_none=True)
    log(f"fusion {'on' if is_fused() else 'off'}, {time.monotonic() - begin:.0f} s")


class FlashRun:
    """One call's training: it may continue another's, and be continued."""

    def __init__(self, model: FlashCanary, settings: FlashSettings, log: Log, begin: float) -> None:
        self.model, self.settings, self.log, self.begin = model, settings, log, begin
        self.progress = Progress()
        self.optimizer_state: dict[str, Any] | None = None
        self.phase = ""
        # shared with the processes that make data
        self.clock = multiprocessing.Value("d", 0.0)
        self.total = settings.training or math.inf
        self.last_save = time.monotonic()

    def restore(self) -> None:
        file = self.settings.work / "state.pt"
        if not file.is_file():
            return
        state = torch.load(file, map_location=self.settings.device, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.progress, self.phase, self.optimizer_state = state["progress"], state["phase"], state["optimizer"]
        self.total = self.settings.training or state["total"]
        self.log(f"goes on at {self.progress.seconds:.0f} s of training, step {self.progress.steps}")

    def train(self) -> None:
        exam = self.settings.exam_seconds
        left = self.begin + self.settings.seconds - exam - time.monotonic()
        if self.total == math.inf:
            self.total = left
        self.log(f"{left:.0f} s of training in this call, {self.total:.0f} s in all")
        ends = {"trunk": self.total * TRUNK_SHARE, "indexers": self.total}
        for phase, end in ends.items():
            if self.progress.seconds < end:
                self._run_phase(phase, end, self.progress.seconds + left)
                left = self.begin + self.settings.seconds - exam - time.monotonic()

    def is_over(self) -> bool:
        # a call that has its whole time stops a breadth before it: the last step is over when the clock is read
        return self.progress.seconds >= self.total - SLACK_S

    def describe(self) -> dict[str, Any]:
        """Return what the results say of the training."""
        s, cuda = self.settings, self.settings.device == "cuda"
        return {
            "seed": s.seed,
            "rate": s.rate,
            "tokens_a_step": s.tokens,
            "training_seconds": round(self.progress.seconds, 1),
            "call_seconds": round(time.monotonic() - self.begin, 1),
            "steps": self.progress.steps,
            "tokens": self.progress.tokens,
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if cuda else s.device,
            "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 1) if cuda else None,
            "fused": is_fused(),
            "is_over": self.is_over(),
            "losses": self.progress.losses,
        }

    def _run_phase(self, phase: str, end: float, stop: float) -> None:
        """Train `phase` until `end` of the training, or until `stop`, where this call's time is over."""
        s, is_trunk = self.settings, phase == "trunk"
        self._share_clock(phase)
        if not is_trunk:
            stop_fusion()  # the frozen trunk would be compiled anew
        parameters = select_trunk(self.model) if is_trunk else select_indexers(self.model)
        self.model.train(is_trunk)  # a frozen router must not move its bias
        optimizer = make_adamw(parameters, s.rate if is_trunk else s.indexer_rate, 0.05 if is_trunk else 0.0)
        if self.phase == phase and self.optimizer_state:
            optimizer.load_state_dict(self.optimizer_state)
        self.phase, start = phase, time.monotonic() - self.progress.seconds
        losses: dict[int, list[Tensor]] = defaultdict(list)
        for batch in self._load(phase):
            self.progress.seconds = time.monotonic() - start
            if self.progress.seconds >= min(end, stop):
                break
            ids, weights = to_device(batch, s.device)
            share = self._share_clock(phase)
            set_rate(
                optimizer, (s.rate if is_trunk else s.indexer_rate) * scale_rate(self.progress.steps[phase], share)
            )
            step = self._step_trunk if is_trunk else self._step_indexers
            try:
                losses[ids.shape[1]].append(step(optimizer, parameters, ids, weights))
            except Exception as error:
                if not is_fused():
                    raise
                self.log(f"without fusion from here on: {type(error).__name__}: {str(error)[:300]}")
                stop_fusion()
                optimizer.zero_grad(set_to_none=True)
                continue
            self._note(phase, ids, losses)
            if time.monotonic() - self.last_save > s.save_every_s:
                self.optimizer_state = optimizer.state_dict()
                self._save(optimizer)
        self.optimizer_state = optimizer.state_dict()
        self._save(optimizer)
        self.log(f"{phase} at {self.progress.seconds:.0f} s, step {self.progress.steps[phase]}")

    def _share_clock(self, phase: str) -> float:
        """Tell the data's processes how far the phase is; return it."""
        first = 0.0 if phase == "trunk" else self.total * TRUNK_SHARE
        length = self.total * (TRUNK_SHARE if phase == "trunk" else 1 - TRUNK_SHARE)
        self.clock.value = min(1.0, max(0.0, (self.progress.seconds - first) / length))
        return float(self.clock.value)

    def _load(self, phase: str) -> Iterator[tuple[Tensor, Tensor]]:
        s, plan = self.settings, FLASH_PLAN if phase == "trunk" else AUXILIARY_PLAN
        batches = TimedBatches(
            f"{s.seed}.{phase}", plan, self.clock, self.progress.steps[phase], tokens=s.tokens, longest=s.longest
        )
        return iter(make_loader(batches, workers=s.workers, device=s.device))

    def _step_trunk(
        self, optimizer: torch.optim.Optimizer, parameters: Sequence[torch.nn.Parameter], ids: Tensor, weights: Tensor
    ) -> Tensor:
        device = self.settings.device
        with autocast(device):
            hidden = self.model(ids, Pass(), dtype=compute_dtype(device))
        loss = weighted_loss(self.model, hidden[:, :-1], ids[:, 1:], weights[:, 1:])
        step_optimizer(optimizer, loss, parameters)
        return loss.detach()

    def _step_indexers(
        self, optimizer: torch.optim.Optimizer, parameters: Sequence[torch.nn.Parameter], ids: Tensor, weights: Tensor
    ) -> Tensor:
        losses = indexer_losses(self.model, ids, weights)
        step_optimizer(optimizer, losses.sum(), parameters)
        return losses.detach().mean()

    def _note(self, phase: str, ids: Tensor, losses: dict[int, list[Tensor]]) -> None:
        self.progress.steps[phase] += 1
        self.progress.tokens += ids.numel()
        count = self.progress.steps[phase]
        if count % self.settings.log_every == 0 or count == 10:
            line = f"{phase} {count} {self.progress.seconds:.0f}s loss {format_means(losses)}"
            self.log(line)
            self.progress.losses.append(line)
            losses.clear()

    def _save(self, optimizer: torch.optim.Optimizer) -> None:
        self.last_save = time.monotonic()
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer_state, "phase": self.phase}
        file = self.settings.work / "state.pt"
        if not all(bool(value.isfinite().all()) for value in state["model"].values()):
            self.log("a weight is not finite: back to the state before, with fresh moments")
            self.model.load_state_dict(torch.load(file, map_location=self.settings.device, weights_only=False)["model"])
            optimizer.state.clear()
            return
        self.settings.work.mkdir(parents=True, exist_ok=True)
        # written beside and renamed: a call that is killed leaves a whole state
        draft = file.with_suffix(".draft")
        torch.save(state | {"progress": self.progress, "total": self.total}, draft)
        draft.rename(file)
        write_results(self.model, self.settings.out, self.describe())


def select_trunk(model: FlashCanary) -> list[torch.nn.Parameter]:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".indexer." not in name)
    return [p for p in model.parameters() if p.requires_grad]
