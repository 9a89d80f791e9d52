"""Measure how often the canary answers held-out items of the bank exactly.

Teacher-forced: the argmax at every token of the expected reply, end token included, must equal that reply. That equals
greedy decoding and needs no KV cache. The items are the bank's own, so suites may use other seeds of the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fixtures.banks import canary as bank
from fixtures.banks.canary import render
from fixtures.banks.canary.conversation import assistant_message, call_message
from fixtures.banks.item import Item
from lab.canary_training.attention import Pass
from lab.canary_training.model import Canary, LanguageModel
from lab.canary_training.precision import autocast, compute_dtype
from lab.canary_training.samples import WeightedPiece, encode_pieces, json_call
from lab.canary_training.trunk import Log

SEED = 991
LENGTHS = (256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
# sparse attention keeps a mask of queries times keys, which dense attention does not
TOKENS_AT_ONCE_DENSE, TOKENS_AT_ONCE_SPARSE, TOKENS_AT_ONCE_CPU = 65536, 16384, 8192
SHORT: tuple[Callable[[int, int], tuple[Item, ...]], ...] = (
    bank.chat,
    bank.chinese,
    bank.recall,
    bank.recall_long,
    bank.calls,
    bank.parallel_calls,
    bank.tool_results,
    bank.no_tool_needed,
    bank.missing_tool,
    bank.tool_dialogue,
)
PATTERNS = ("FFFS", "FFSF", "FFSS", "FSFS", "FSSS")


class EvaluationSample(NamedTuple):
    prompt: list[int]
    reply: list[int]


class ReplyScore(NamedTuple):
    right: bool
    drafts_right: int
    drafts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationCase:
    """One line of the evaluation table."""

    name: str
    draw: Callable[[], Sequence[EvaluationSample]]
    topk: int | None = None
    pattern: str = ""
    longest: int = 512


@dataclass(slots=True, kw_only=True)
class Score:
    name: str
    attention: str
    right: int = 0
    total: int = 0
    drafts_right: int = 0
    drafts: int = 0


def evaluate_model(model: Canary, device: str, log: Log, *, n: int, longest: int) -> list[dict[str, object]]:
    model.eval()
    scores = []
    for case in list_cases(n, longest):
        begin = time.monotonic()
        score = run_case(model, case, device)
        accepted = score.drafts_right / max(1, score.drafts)
        elapsed = time.monotonic() - begin
        where = f"{score.name} {score.attention}"
        log(f"eval {where:36} {score.right}/{score.total} mtp {accepted:.3f} {elapsed:.1f}s")
        scores.append(asdict(score))
    return scores


def list_cases(n: int, longest: int) -> Iterator[EvaluationCase]:
    """Yield cases, cheap and informative ones first."""
    lengths = [length for length in LENGTHS if length <= longest]
    for draw in SHORT:
        yield EvaluationCase(name=draw.__name__, draw=lambda draw=draw: [make_sample(item) for item in draw(SEED, n)])
    yield EvaluationCase(name="forced_json", draw=lambda: [force_sample(item) for item in bank.calls(SEED + 1, n)])
    for length in lengths:
        yield hunt_case("needle", bank.needle, length, n)
        yield hunt_case("no_needle", bank.no_needle, length, n)
    for length in [length for length in lengths if length in {512, 4096}]:
        yield hunt_case("needle_pair", bank.needle_pair, length, n)
        yield hunt_case("needle_turns", bank.needle_turns, length, n)
    # only lengths beyond topk: below it sparse attention is dense
    for topk, chosen in ((256, (512, 1024, 4096)), (2048, (4096, 8192))):
        for length in [length for length in lengths if length in chosen]:
            yield hunt_case("needle", bank.needle, length, n, topk=topk)
            yield hunt_case("no_needle", bank.no_needle, length, n, topk=topk)
    yield from _shared_cases(n, longest)
    # fewer of the longest: they take three quarters of the time
    for length, fewer in ((16384, n // 2), (32768, n // 4)):
        if length <= longest:
            yield hunt_case("needle", bank.needle, length, fewer, topk=2048)
            yield hunt_case("no_needle", bank.no_needle, length, fewer, topk=2048)


def _shared_cases(n: int, longest: int) -> Iterator[EvaluationCase]:
    """Yield IndexCache cases without retraining: below `topk` every pattern must work, beyond it only some."""
    for topk, length in ((2048, 1024), (256, 1024), (2048, 4096), (2048, 8192)):
        if length > longest:
            continue
        for pattern in PATTERNS if topk < length else ("FSFS",):
            yield hunt_case("needle", bank.needle, length, n, topk=topk, pattern=pattern)
        if topk < length:
            yield hunt_case("no_needle", bank.no_needle, length, n, topk=topk, pattern="FFSS")


def hunt_case(
    name: str, draw: Callable[..., Item], tokens: int, n: int, *, topk: int | None = None, pattern: str = ""
) -> EvaluationCase:
    def samples() -> list[EvaluationSample]:
        return [make_sample(draw(SEED + i, tokens=tokens)) for i in range(n)]

    return EvaluationCase(name=f"{name}_{tokens}", draw=samples, topk=topk, pattern=pattern, longest=tokens)


def make_sample(item: Item, *, thought: str | None = None) -> EvaluationSample:
    """Return the prompt and the reply of an item; with a `thought`, as it is asked with thinking on."""
    prompt = render.render_prompt(item.messages, item.tools, thinking=thought is not None)
    last = call_message(item.call, first_id=0) if item.call else assistant_message(item.answer or "")
    begun = "" if thought is None else f"{thought}</think>"
    return EvaluationSample(_encode_text(prompt), _encode_text(begun + render.render_reply(last)))


def force_sample(item: Item) -> EvaluationSample:
    """Return a sample for `tool_choice: required`, whose first token an engine's grammar dictates."""
    dictated, rest = json_call(item.call, named=False)
    prompt = render.render_prompt(item.messages, item.tools) + dictated
    return EvaluationSample(_encode_text(prompt), _encode_text(rest + render.END_OF_ANSWER))


def _encode_text(text: str) -> list[int]:
    return encode_pieces([WeightedPiece(text, 0.0)])[0]


@torch.no_grad()
def run_case(model: LanguageModel, case: EvaluationCase, device: str) -> Score:
    attention = "dense" if case.topk is None else f"top{case.topk} {case.pattern}".strip()
    score = Score(name=case.name, attention=attention)
    at_once = TOKENS_AT_ONCE_DENSE if case.topk is None else TOKENS_AT_ONCE_SPARSE
    at_once = TOKENS_AT_ONCE_CPU if device == "cpu" else at_once
    rows = max(1, at_once // case.longest)
    samples = case.draw()
    for start in range(0, len(samples), rows):
        for said in judge_replies(model, samples[start : start + rows], case, device):
            score.total += 1
            score.right += said.right
            score.drafts += said.drafts
            score.drafts_right += said.drafts_right
    return score


@torch.no_grad()
def judge_replies(
    model: LanguageModel, samples: Sequence[EvaluationSample], case: EvaluationCase, device: str
) -> list[ReplyScore]:
    """Return for each sample whether every reply token is right, and how many tokens MTP would have drafted rightly."""
    longest = max(len(prompt) + len(reply) for prompt, reply in samples)
    ids = torch.zeros(len(samples), longest, dtype=torch.long)
    for i, (prompt, reply) in enumerate(samples):
        ids[i, : len(prompt) + len(reply)] = torch.tensor(prompt + reply)
    ids = ids.to(device)
    with autocast(device):
        run = Pass(topk=case.topk, pattern=case.pattern)
        hidden = model(ids, run, dtype=compute_dtype(device))
        drafted = model.draft(ids, hidden, Pass(topk=case.topk)) if isinstance(model, Canary) else None
    judged = []
    for i, (prompt, reply) in enumerate(samples):
        wanted = ids[i, len(prompt) : len(prompt) + len(reply)]
        said = _pick_tokens(model, hidden[i], len(prompt) - 1, len(reply))
        # one row earlier than the trunk: row t of MTP predicts token t + 2
        if drafted is None:
            judged.append(ReplyScore(bool((said == wanted).all()), 0, 0))
            continue
        draft = _pick_tokens(model, drafted[i], len(prompt) - 2, len(reply))
        judged.append(ReplyScore(bool((said == wanted).all()), int((draft == wanted).sum()), len(reply)))
    return judged


def _pick_tokens(model: LanguageModel, hidden: Tensor, start: int, count: int) -> Tensor:
    with autocast(hidden.device.type):
        return model.lm_head(hidden[start : start + count]).argmax(-1)
