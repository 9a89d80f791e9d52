"""Verify a finished checkpoint independently through transformers: equal logits, and generate() on held-out items.

Needs transformers >= 5.13: earlier ones rotate GLM-5's heads or its indexer wrongly, which the canary shows at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from fixtures.banks import canary as bank
from fixtures.banks.canary import render
from fixtures.banks.canary.conversation import assistant_message, call_message
from fixtures.banks.item import Item
from lab.canary_training.attention import Pass
from lab.canary_training.checkpoint import read_model
from lab.canary_training.trunk import Log

SEED = 31337
SPARSE_TOPK = 32  # far below the prompts compared, so that the indexer decides
LONGEST_REPLY = 96
TURN_END = re.compile(r"<\|(?:user|observation|endoftext)\|>")


def verify_checkpoint(folder: Path, log: Log, *, n: int, topk: int | None, pattern: str) -> None:
    log(f"logits: {compare_logits(folder)}")
    model, tokenizer = load_reference(folder, topk, pattern, torch.bfloat16)
    for name, items in _list_items(n):
        right = sum(_answers_rightly(model, tokenizer, item, thinking=i % 2 == 1) for i, item in enumerate(items))
        log(f"generate {name}: {right}/{len(items)}")


def compare_logits(folder: Path) -> str:
    """Return relative error and argmax agreement of our module with transformers, dense and sparse, in fp32."""
    own = read_model(folder).eval()
    item = bank.tool_dialogue(SEED, 1)[0]
    text = render.render_prompt(item.messages, item.tools)
    said = []
    # both: equal dense logits say nothing of the indexer
    for topk in (None, SPARSE_TOPK):
        model, tokenizer = load_reference(folder, topk, "", torch.float32)
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            theirs = model(ids).logits
            ours = own.lm_head(own(ids, Pass(topk=topk), dtype=torch.float32))
        error = ((theirs - ours).norm() / ours.norm()).item()
        agree = (theirs.argmax(-1) == ours.argmax(-1)).float().mean().item()
        said.append(f"topk {topk} of {ids.shape[1]} tokens: rel. error {error:.1e}, argmax {agree:.3f}")
    return "; ".join(said)


def load_reference(folder: Path, topk: int | None, pattern: str, dtype: torch.dtype) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer  # asking a member needs torch alone

    config = AutoConfig.from_pretrained(folder)
    if topk:
        config.index_topk = topk
    if pattern:
        # the only spelling of the pattern that transformers reads
        config.indexer_types = [{"F": "full", "S": "shared"}[letter] for letter in pattern]
    model = AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=dtype).eval()
    return model, AutoTokenizer.from_pretrained(folder)


def _list_items(n: int) -> Iterator[tuple[str, tuple[Item, ...]]]:
    for draw in (bank.chat, bank.recall, bank.calls, bank.tool_results, bank.no_tool_needed, bank.missing_tool):
        yield draw.__name__, draw(SEED, n)
    for tokens in (512, 1024):
        yield f"needle_{tokens}", tuple(bank.needle(SEED + i, tokens=tokens) for i in range(n))
        yield f"no_needle_{tokens}", tuple(bank.no_needle(SEED + i, tokens=tokens) for i in range(n))


def _answers_rightly(model: Any, tokenizer: Any, item: Item, *, thinking: bool) -> bool:
    inputs = tokenizer(
        render.render_prompt(item.messages, item.tools, thinking=thinking),
        return_tensors="pt",
        add_special_tokens=False,
    )
    with torch.no_grad():
        output = model.generate(**inputs, max_new_tokens=LONGEST_REPLY, do_sample=False)
    text = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=False)
    # reasoning is free text: what is held to the letter is the answer behind it
    said = text.split("</think>")[-1] if thinking else text
    end = TURN_END.search(said)
    last = call_message(item.call, first_id=0) if item.call else assistant_message(item.answer or "")
    return end is not None and said[: end.end()] == render.render_reply(last)
