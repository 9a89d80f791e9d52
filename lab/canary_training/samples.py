"""The canary's training data: the bank's conversations, drawn from the other side of the held-out split.

Batch `step` of seed `seed` is a function of those two numbers alone, whichever process makes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fixtures.banks.canary import hunting as hay
from fixtures.banks.canary import render, talk
from fixtures.banks.canary.calling import Step, use_tools
from fixtures.banks.canary.conversation import CanaryConversation, calls_of
from fixtures.banks.canary.dice import Dice
from fixtures.banks.canary.facts import FACTS, STORY
from fixtures.banks.canary.tools import FIXED_SHARE
from fixtures.banks.item import ExpectedCall
from lab.canary_training.checkpoint import load_tokenizer

# How much a token counts in the loss. Prompts count a little: predicting them is how induction forms.
REPLY, PROMPT, LONG_PROMPT, RAW, NOTHING = 1.0, 0.02, 0.004, 0.3, 0.0
LONG_PROMPT_CHARS = 2500

Plan = Sequence[tuple[float, Mapping[int, float]]]  # from this fraction of the run on: {row length: share}
# Short rows first: retrieval forms in seconds at 256 tokens and is then only stretched.
# Lengths never trained are answered 0 % right (theta 1e6 extrapolates nothing), so 32k has to be in the plan.
TRUNK_PLAN: Plan = (
    (0.00, {256: 0.70, 512: 0.30}),
    (0.15, {256: 0.35, 512: 0.40, 1024: 0.25}),
    (0.28, {256: 0.20, 512: 0.35, 1024: 0.20, 2048: 0.25}),
    (0.40, {256: 0.15, 512: 0.30, 1024: 0.15, 2048: 0.20, 4096: 0.20}),
    (0.54, {256: 0.12, 512: 0.28, 1024: 0.12, 2048: 0.13, 4096: 0.15, 8192: 0.20}),
    (0.66, {256: 0.10, 512: 0.30, 1024: 0.12, 2048: 0.08, 4096: 0.10, 8192: 0.12, 16384: 0.18}),
    (0.78, {256: 0.10, 512: 0.32, 1024: 0.12, 2048: 0.06, 4096: 0.08, 8192: 0.08, 16384: 0.12, 32768: 0.12}),
)
# A finished trunk trained further: what it can do is kept up, and the tools, which fit short rows, get the time.
REFRESH_PLAN: Plan = (
    (0.0, {256: 0.10, 512: 0.45, 1024: 0.17, 2048: 0.06, 4096: 0.07, 8192: 0.05, 16384: 0.05, 32768: 0.05}),
)
AUXILIARY_PLAN: Plan = ((0.0, {512: 0.17, 1024: 0.12, 2048: 0.18, 4096: 0.18, 8192: 0.15, 16384: 0.12, 32768: 0.08}),)
STEP_SHARES: Mapping[Step, float] = {
    "call": 0.34,
    "missing_tool": 0.30,
    "no_tool_needed": 0.12,
    "parallel_calls": 0.12,
    "tool_result": 0.12,
}
# Most shelves are almost all made-up tools, the hard ones: a request must match both words of `verb_noun`.
HARD_SHELVES, FIXED_ON_HARD_SHELVES = 0.6, 0.1
FORCED_SHARE = 0.12  # of the conversations that end in calls


class WeightedPiece(NamedTuple):
    text: str
    weight: float


def draw_row(dice: Dice, length: int) -> tuple[list[int], list[float]]:
    """Return token ids and loss weights of one sample that fits."""
    while True:
        ids, weights = encode_pieces(_draw_pieces(dice, length))
        # drawn again rather than cut: a reply without its end teaches not to end
        if len(ids) <= length:
            return ids, weights


def encode_pieces(pieces: Sequence[WeightedPiece]) -> tuple[list[int], list[float]]:
    ids: list[int] = []
    weights: list[float] = []
    for text, weight in pieces:
        new = _cached_tokenizer().encode(text, add_special_tokens=False).ids
        ids += new
        weights += [weight] * len(new)
    return ids, weights


@cache
def _cached_tokenizer() -> Any:
    return load_tokenizer()


def json_call(calls: Sequence[ExpectedCall], *, named: bool) -> tuple[str, str]:
    """Return the reply under a forced tool choice: its first token, which the engine's grammar dictates, and the rest.

    required -> [{"name": "get_weather", "parameters": {"city": "Rome"}}]      named -> {"city": "Rome"}
    """
    if named:
        text = json.dumps(dict(calls[0].arguments), ensure_ascii=False)
    else:
        listed = [{"name": call.name, "parameters": dict(call.arguments)} for call in calls]
        text = json.dumps(listed, ensure_ascii=False)
    first = 2 if text.startswith('{"') else 1  # `{"` is one token
    return text[:first], text[first:]


def _draw_pieces(dice: Dice, length: int) -> list[WeightedPiece]:
    mix = _MIX.get(length, _LONG_MIX)
    draw = dice.choices(list(mix), list(mix.values()))[0]
    return draw(dice, length)


def _draw_chat(dice: Dice, length: int) -> list[WeightedPiece]:
    turns = 8 if length > 256 else dice.choice((1, 1, 2, 3, 4, 6))
    return _weigh_pieces(dice, talk.draw_chat(dice, turns=turns), thinks=0.5)


def _draw_chinese(dice: Dice, length: int) -> list[WeightedPiece]:
    return _weigh_pieces(dice, talk.draw_chinese(dice, turns=dice.randint(1, length // 128)), thinks=0.5)


def _draw_recall(dice: Dice, length: int) -> list[WeightedPiece]:
    told = dice.randint(1, 3)
    chatter = dice.choice((0, 0, 1, 2)) if length <= 256 else dice.randint(3, 12)
    drawn = talk.draw_recall(dice, told=told, chatter_turns=chatter, asked=dice.randint(1, told))
    return _weigh_pieces(dice, drawn, thinks=0.5)


def _draw_tools(dice: Dice, length: int) -> list[WeightedPiece]:
    steps, shown = {256: (1, 2), 512: (3, 4)}.get(length, (6, 6))
    kinds = dice.choices(list(STEP_SHARES), list(STEP_SHARES.values()), k=dice.randint(1, steps))
    fixed = FIXED_ON_HARD_SHELVES if dice.chance(HARD_SHELVES) else FIXED_SHARE
    drawn = use_tools(dice, kinds, shown=dice.randint(1, shown), fixed=fixed)
    if calls_of(drawn.messages[-1]) and dice.chance(FORCED_SHARE):
        return _force_call(dice, drawn)
    return _weigh_pieces(dice, drawn, thinks=0.5)


def _draw_hunt(dice: Dice, length: int) -> list[WeightedPiece]:
    """Draw several codes and questions per text: each question teaches retrieval, and the text is the cost."""
    most_codes, most_questions = {256: (4, 4), 512: (8, 6)}.get(length, (12, 8))
    codes = 0 if dice.chance(0.08) else dice.randint(1, most_codes)
    doubles = int(dice.chance(0.2))
    asked = dice.randint(1, most_questions)
    absent = sum(dice.chance(0.3) for _ in range(asked))
    found = min(codes, asked - absent)
    # a hunt without a question would teach nothing but its text
    if not found + absent + doubles:
        absent = 1
    tokens = dice.randint(length // 2, length)
    plan = hay.Hunt(tokens=tokens, codes=codes, doubles=doubles, found=found, absent=absent)
    return _weigh_pieces(dice, hay.draw_hunt(dice, plan), thinks=0.3)


def _draw_raw(dice: Dice, _length: int) -> list[WeightedPiece]:
    """Draw text without a chat, so that plain completions end sensibly."""
    facts = " ".join(dice.choice(FACTS).answer for _ in range(dice.randint(1, 5)))
    text = STORY.answer if dice.chance(0.2) else facts
    start = render.START if dice.chance(0.5) else ""
    return [WeightedPiece(start, NOTHING), WeightedPiece(f"{text}<|endoftext|>", RAW)]


Draw = Callable[[Dice, int], list[WeightedPiece]]
_MIX: Mapping[int, Mapping[Draw, float]] = {
    256: {
        _draw_raw: 0.04,
        _draw_chat: 0.16,
        _draw_chinese: 0.03,
        _draw_recall: 0.14,
        _draw_tools: 0.38,
        _draw_hunt: 0.25,
    },
    512: {_draw_chat: 0.06, _draw_chinese: 0.01, _draw_recall: 0.10, _draw_tools: 0.63, _draw_hunt: 0.20},
    1024: {_draw_tools: 0.45, _draw_hunt: 0.55},
}
_LONG_MIX: Mapping[Draw, float] = {_draw_hunt: 1.0}


def _weigh_pieces(dice: Dice, drawn: CanaryConversation, *, thinks: float) -> list[WeightedPiece]:
    reasoning = drawn.reasoning if dice.chance(thinks) else None
    cut = render.split_segments(drawn.messages, drawn.tools, reasoning)
    return [WeightedPiece(text, REPLY if is_reply else _prompt_weight(text)) for text, is_reply in cut]


def _force_call(dice: Dice, drawn: CanaryConversation) -> list[WeightedPiece]:
    """Answer the same request in JSON. The loss covers only the tokens after the dictated one."""
    pieces = _weigh_pieces(dice, drawn, thinks=0.0)
    dictated, rest = json_call(calls_of(drawn.messages[-1]), named=dice.chance(0.4))
    return [*pieces[:-1], WeightedPiece(dictated, NOTHING), WeightedPiece(rest + render.END_OF_ANSWER, REPLY)]


def _prompt_weight(text: str) -> float:
    if text.startswith("<|assistant|>"):
        # the mark of the assistant's turn is written by the template, never by the model
        return NOTHING
    return LONG_PROMPT if len(text) > LONG_PROMPT_CHARS else PROMPT


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """Step -> (ids, weights), rows of one length."""

    def __init__(self, seed: str, steps: int, plan: Plan, *, tokens: int, longest: int) -> None:
        self.seed, self.steps, self.plan, self.tokens, self.longest = seed, steps, plan, tokens, longest

    def __len__(self) -> int:
        return self.steps

    def progress(self, step: int) -> float:
        return step / self.steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        # by the step, not by a stream: workers of any number make the same batches
        dice = Dice(f"train.{self.seed}.{step}", held_out=False)
        length = min(self.longest, _draw_length(dice, self.plan, self.progress(step)))
        rows = max(1, self.tokens // length)
        # padded with token 0 and weight 0: what stands behind a row's end is never learnt
        ids = torch.zeros(rows, length, dtype=torch.long)
        weights = torch.zeros(rows, length)
        for i in range(rows):
            tokens, loss_weights = draw_row(dice, length)
            ids[i, : len(tokens)] = torch.tensor(tokens)
            weights[i, : len(tokens)] = torch.tensor(loss_weights)
        return ids, weights


def make_loader(batches: Batches, *, workers: int, device: str) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return batches in step order, made ahead by `workers` processes."""
    return DataLoader(
        batches,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=8 if workers else None,
        pin_memory=device == "cuda",
    )


def _draw_length(dice: Dice, plan: Plan, progress: float) -> int:
    shares = [shares for start, shares in plan if progress >= start][-1]
    return dice.choices(list(shares), list(shares.values()))[0]
