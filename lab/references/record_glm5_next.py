"""Record what transformers says of the toy of `Glm5NextForConditionalGeneration`, for the derivation's test.

python3 -m lab.references.record_glm5_next      needs torch and transformers >= 5.17; writes the test's JSON
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from fixtures.canary.checkpoint import StoredTensor
from fixtures.canary.writing import WEIGHTS, write_json, write_safetensors
from lab.canary_training.flash_config import VISION
from lab.references.glm5_next_toy import CONFIG, SEED, draw_ids, draw_weights
from matrix.checkout import CHECKOUT

FILE: Final = CHECKOUT / "tests" / "lab" / "references" / "glm5_next_logits.json"
DIGITS: Final = 7  # as many as a float32 has


def ask_transformers(folder: Path) -> Any:
    """Return float32 logits [tokens, vocabulary] of the toy.

    Raises:
        ValueError: transformers misses a tensor of the text tower, or knows none of that name.
    """
    import torch
    from transformers import AutoConfig, Glm5NextForConditionalGeneration

    vision = {**VISION, "out_hidden_size": CONFIG["hidden_size"]}
    config = {"architectures": ["Glm5NextForConditionalGeneration"], "model_type": "glm5_next", "vision_config": vision}
    write_json(folder / "config.json", {**config, "text_config": dict(CONFIG)})
    write_safetensors(folder / WEIGHTS, {name: StoredTensor("F32", t) for name, t in draw_weights(CONFIG).items()})
    torch.set_num_threads(1)
    model, about = Glm5NextForConditionalGeneration.from_pretrained(
        folder, config=AutoConfig.from_pretrained(folder), dtype=torch.float32, output_loading_info=True
    )
    missing = [name for name in about["missing_keys"] if "visual" not in name]
    if missing or about["unexpected_keys"]:
        raise ValueError(f"missing {missing}, unexpected {about['unexpected_keys']}")
    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor([draw_ids(CONFIG)])).logits[0].numpy()


def main() -> int:
    """Rewrite the file."""
    import transformers

    with tempfile.TemporaryDirectory() as folder:
        logits = ask_transformers(Path(folder))
    record = {
        "oracle": f"transformers {transformers.__version__}, float32, CPU",
        "recorded_by": "python3 -m lab.references.record_glm5_next",
        "seed": SEED,
        "logits": [[float(f"{value:.{DIGITS}g}") for value in row] for row in np.asarray(logits)],
    }
    FILE.write_text(json.dumps(record) + "\n", encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
