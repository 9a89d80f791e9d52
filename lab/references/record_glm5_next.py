"""Record what transformers says of `Glm5NextForConditionalGeneration`: of a toy, and of the trained flash canary.

python3 -m lab.references.record_glm5_next      needs torch and transformers >= 5.17; writes the tests' JSON
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fixtures.banks import canary as bank
from fixtures.banks.canary import render
from fixtures.canary.checkpoint import StoredTensor
from fixtures.canary.writing import WEIGHTS, write_json, write_safetensors
from lab.canary_training.flash_config import VISION
from lab.references.glm5_next_toy import CONFIG, SEED, draw_ids, draw_weights
from matrix.checkout import CHECKOUT

TESTS: Final = CHECKOUT / "tests" / "lab" / "references"
TRAINED: Final = CHECKOUT / "fixtures" / "canary" / "flash"
TOPK: Final = 16  # of the trained one: four pools, so that its indexers decide
LAST: Final = 6  # positions of the trained one that are kept
DIGITS: Final = 7  # as many as a float32 has


def ask_transformers(folder: Path, ids: Sequence[int], topk: int) -> Any:
    """Return float32 logits [tokens, vocabulary].

    Raises:
        ValueError: transformers misses a tensor of the text tower, or knows none of that name.
    """
    import torch
    from transformers import AutoConfig, Glm5NextForConditionalGeneration

    torch.set_num_threads(1)
    config = AutoConfig.from_pretrained(folder)
    config.text_config.index_topk = topk
    model, about = Glm5NextForConditionalGeneration.from_pretrained(
        folder, config=config, dtype=torch.float32, output_loading_info=True
    )
    missing = [name for name in about["missing_keys"] if "visual" not in name]
    if missing or about["unexpected_keys"]:
        raise ValueError(f"missing {missing}, unexpected {about['unexpected_keys']}")
    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor([list(ids)])).logits[0].tolist()


def write_toy(folder: Path) -> None:
    vision = {**VISION, "out_hidden_size": CONFIG["hidden_size"]}
    config = {"architectures": ["Glm5NextForConditionalGeneration"], "model_type": "glm5_next", "vision_config": vision}
    write_json(folder / "config.json", {**config, "text_config": dict(CONFIG)})
    write_safetensors(folder / WEIGHTS, {name: StoredTensor("F32", t) for name, t in draw_weights(CONFIG).items()})


def make_trained_ids() -> list[int]:
    """Return a held-out question and its answer, as the template renders them."""
    from tokenizers import Tokenizer

    item = bank.recall(SEED, 1)[0]
    text = render.render_prompt(item.messages) + (item.answer or "")
    tokenizer = Tokenizer.from_file(str(CHECKOUT / "fixtures" / "canary" / "hf" / "tokenizer.json"))
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def write_record(name: str, logits: Sequence[Sequence[float]], **about: object) -> None:
    import transformers

    record = {
        "oracle": f"transformers {transformers.__version__}, float32, CPU",
        "recorded_by": "python3 -m lab.references.record_glm5_next",
        **about,
        "logits": [[float(f"{value:.{DIGITS}g}") for value in row] for row in logits],
    }
    (TESTS / name).write_text(json.dumps(record) + "\n", encoding="utf-8")
    sys.stdout.write(f"{TESTS / name}\n")


def main() -> int:
    """Rewrite both files."""
    with tempfile.TemporaryDirectory() as folder:
        write_toy(Path(folder))
        toy = ask_transformers(Path(folder), draw_ids(CONFIG), CONFIG["index_topk"])
    write_record("glm5_next_logits.json", toy, seed=SEED)
    ids = make_trained_ids()
    trained = ask_transformers(TRAINED, ids, TOPK)
    write_record("canary_flash_logits.json", trained[-LAST:], ids=ids, index_topk=TOPK)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
