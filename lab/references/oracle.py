"""Ask the oracle (transformers in float32 on a CPU) for the canaries' next tokens. Separate, because it needs torch.

    python3 -m venv /tmp/oracle
    /tmp/oracle/bin/pip install torch==2.13.0 transformers==5.23.0 pytest requests    # a torch for CPUs will do
    /tmp/oracle/bin/python -m lab.references.record_references

transformers before 5.13 gets GLM-5's rotary embedding or its indexer wrong, so it may not be the oracle. One thread and
no cache, so that the same machine gives the same numbers again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fixtures.banks import bank_for
from fixtures.banks.canary.hunting import LOOKS
from fixtures.banks.item import Item
from fixtures.weights.locate import find_weights
from matrix.model import Checkpoint
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import make_plan
from matrix.yaml.load import load_matrix
from suites.checks.frozen import prompt_sha256
from suites.measure import logprob_probe as signature
from suites.measure import references
from suites.measure.recordings import DENSE
from suites.measure.references import ALL, HALF, Key
from suites.measure.rendering import make_encoder

DIGITS: Final = 7  # of a logprob: as many as a float32 has
Record = Mapping[str, Any]  # a line of the file
Candidates = list[tuple[int, float]]  # token and logprob, the likeliest first
EVERYTHING: Final = 1 << 14  # an index_topk that selects all of any prompt
MOST_AT_ONCE: Final = 4096  # tokens of a prompt in one pass
PIECE: Final = 1024


def record_references(command: str, kept: Sequence[Record] = ()) -> str:
    """Return the file: one reference a line, for every comparison of a canary cell. What is current in `kept` is not
    asked again."""
    import torch
    import transformers

    torch.set_num_threads(1)
    lines = [json.dumps(each, ensure_ascii=False) for each in iterate_references(kept)]
    about = {
        "oracle": f"transformers {transformers.__version__}, torch {torch.__version__}, float32, CPU",
        "recorded_by": command,
        "top": signature.TOP,
    }
    head = json.dumps(about, indent=1).removesuffix("\n}")
    return head + ',\n "references": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"


def iterate_references(kept: Sequence[Record] = ()) -> Iterator[Record]:
    """Yield the record of every wanted key, in the file's order."""
    said = dict[str, str]()  # of an item without an answer: what the last way made of it
    # sorted: the file's order, and ways of one item stand together, so that each can draft for the next
    for key, (checkpoint, item) in sorted(list_wanted().items(), key=lambda each: str(each[0])):
        about = {
            "weights": key.weights,
            "weights_sha256": references.weights_sha256(checkpoint),
            "index_topk": key.index_topk,
            "way": key.way,
            "item": key.item,
            "prompt_sha256": prompt_sha256(item),
        }
        # current by digests of weights and prompt: a file of an older bank is asked again by itself
        if current := next((r for r in kept if about.items() <= r.items()), None):
            said[item.id] = "".join(position[0][0] for position in current["positions"])
            yield current
            continue
        directory = find_weights(checkpoint)
        ids = make_encoder(directory)(item)
        thought = f"{LOOKS}</think>" if checkpoint.thinking == "always" else ""
        # an item without an answer is drafted by the last way's words: mostly right, and wrong costs only time
        expected = f"{thought}{item.answer}" if item.answer else said.get(item.id, thought)
        positions = Oracle(directory, key).says(ids, expected, signature.max_tokens(item))
        said[item.id] = "".join(position[0][0] for position in positions)
        yield {**about, "prompt_tokens": len(ids), "positions": positions}


def list_wanted() -> dict[Key, tuple[Checkpoint, Item]]:
    """Return every key of a canary cell, with its weights and prompt."""
    matrix = load_matrix()
    found: dict[Key, tuple[Checkpoint, Item]] = {}
    for cell in expand_matrix(matrix).runnable:
        if cell.checkpoint.canary:
            weights = matrix.checkpoints[references.recorded_as(cell.checkpoint)]
            given = cell, make_plan(matrix, cell), bank_for(weights)
            in_one_text = references.list_keys(*given, one_text=True)
            for key, item in (*references.list_keys(*given), *in_one_text, *references.list_crowd_keys(*given)):
                found[key] = weights, item
    return found


class Oracle:
    """One checkpoint with one way of attending. A CPU computes the recorded numbers in float32."""

    def __init__(self, directory: Path, key: Key, *, dtype: str = "float32", device: str = "cpu") -> None:
        import torch
        import transformers

        from fixtures.canary.checkpoint import CheckpointDirectory

        stored = CheckpointDirectory(directory).config
        config = transformers.AutoConfig.for_model(**_ask_attention(stored, make_attention_config(key)))
        # by its name, not by an auto class: none of these maps a class that takes images
        of_class = getattr(transformers, stored["architectures"][0])
        model = of_class.from_pretrained(directory, config=config, dtype=getattr(torch, dtype))
        self.model = model.eval().to(device)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
        self._stop = set(stored["eos_token_id"])

    def says(self, prompt: list[int], expected: str, most: int) -> list[list[tuple[str, float]]]:
        """Return the likeliest candidates of each token of the greedy reply, the chosen one first; the last one ends
        it.

        `expected` only saves time: as far as it is what the model says, one pass gives all of its positions.
        """
        drafted = self._tokenizer(expected, add_special_tokens=False).input_ids[: most - 1]
        said, positions = list[int](), list[Candidates]()
        while len(said) < most and not self._stop & set(said):
            # once the reply has left the draft it never comes back: from there on one token at a time
            ahead = drafted[len(said) :] if said == drafted[: len(said)] else []
            for best in self._predict_last([*prompt, *said, *ahead], len(ahead) + 1):
                positions.append(best)
                said.append(best[0][0])
                # what follows was predicted behind words that the model did not say
                if said != drafted[: len(said)]:
                    break
        return [[(self._tokenizer.decode([i]), float(f"{v:.{DIGITS}g}")) for i, v in best] for best in positions]

    def _predict_last(self, ids: list[int], count: int) -> list[Candidates]:
        """Return next-token distributions at the last `count` positions. A long prompt is read in pieces with a cache:
        scores of all pairs of 7,000 tokens take 6.6 GB."""
        import torch

        whole = len(ids) <= MOST_AT_ONCE
        starts = [0] if whole else [*range(0, len(ids) - count + 1, PIECE)]
        cache = None
        with torch.no_grad():
            for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
                piece = torch.tensor([ids[start:end]], device=self.model.device)
                said = self.model(piece, past_key_values=cache, use_cache=not whole, logits_to_keep=count)
                cache = getattr(said, "past_key_values", None)
        # in double: a float32 sum over the vocabulary could cost the last of the seven digits
        best = torch.log_softmax(said.logits[0].double(), -1).topk(signature.TOP)
        return [list(zip(i, v, strict=True)) for i, v in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


def _ask_attention(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with what is asked of attention: a class that takes images keeps it in its `text_config`."""
    text = stored.get("text_config")
    return {**stored, "text_config": {**text, **asked}} if text else {**stored, **asked}


def make_attention_config(key: Key) -> dict[str, Any]:
    """Return the part of the config that selects keys. A pattern of only F is no pattern."""
    if key.way == DENSE:
        return {"index_topk": EVERYTHING}
    if key.way == HALF:
        return {"index_topk": key.index_topk // 2}
    pattern = {} if key.way == ALL or "S" not in key.way else {"index_topk_pattern": key.way}
    return {"index_topk": key.index_topk, **pattern}
