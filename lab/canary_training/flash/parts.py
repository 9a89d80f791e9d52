"""Results of a training as few files of bounded size: the weights in parts of 15 MiB, and what was measured."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from safetensors.torch import save

from lab.canary_training.flash.checkpoint import export_flash
from lab.canary_training.flash.model import FlashCanary

PART_BYTES: Final = 15 << 20
RESULTS: Final = "results.json"


def write_results(model: FlashCanary, folder: Path, results: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    weights = save(export_flash(model), metadata={"format": "pt"})
    parts = [weights[start : start + PART_BYTES] for start in range(0, len(weights), PART_BYTES)]
    for i, part in enumerate(parts):
        (folder / f"weights.{i}").write_bytes(part)
    about = {"weights_sha256": hashlib.sha256(weights).hexdigest(), "parts": len(parts)}
    (folder / RESULTS).write_text(json.dumps(about | results, indent=1) + "\n")


def join_parts(folder: Path) -> bytes:
    """Return the weights whose parts lie in `folder`.

    Raises:
        ValueError: they are not the ones that its results speak of.
    """
    about = json.loads((folder / RESULTS).read_text())
    weights = b"".join((folder / f"weights.{i}").read_bytes() for i in range(about["parts"]))
    digest = hashlib.sha256(weights).hexdigest()
    if digest != about["weights_sha256"]:
        raise ValueError(f"{folder}: the parts have sha256 {digest}, {RESULTS} says {about['weights_sha256']}")
    return weights
