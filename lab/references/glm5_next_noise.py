"""Measure how far the flash canary's logprobs move by rounding, and by faults, in short prompts.

    python -m lab.references.glm5_next_noise      some minutes on a core

For the tolerance of `suites.checks.isolation`. Right is the derivation in numpy with every projection rounded to bf16
to the nearest, beside the same rounded at random to one of the two neighbours, as another kernel or another order of
sums may have it. Wrong are the planted faults, rounded alike, and layers that read what another request left: rows of
its cache, the state of its linear attention, or the inputs of its convolutions.
Printed is the largest difference of a logprob in the first positions, over all prompts, as the suites' check has it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from fixtures.banks import bank_for
from fixtures.weights.locate import find_weights
from lab.references.glm5_next import TOWER, Array, Glm5Next
from lab.references.glm5_next_faults import CHECKPOINT, IN_FP32, RIGHT, Prompt, Rounded, list_faults, read_trained
from matrix.judging.extremes import find_largest
from matrix.judging.logprobs import Logprobs, measure_distance
from matrix.yaml.load import load_matrix
from suites.checks.isolation import POSITIONS

PROMPTS: Final = 12
DRAWS: Final = 6
ROWS: Final = 16  # of the other request, in the place of the first ones
READS: Final = f"{TOWER}layers.3.self_attn."


@dataclass(frozen=True)
class Drawn(Rounded):
    """Each value goes to one of its two bf16 neighbours, the nearer one more often."""

    dice: np.random.Generator = field(default_factory=np.random.default_rng)

    def project(self, x: Array, name: str) -> Array:
        said = Glm5Next.project(self, self._draw(x), name)
        return said if name.endswith(IN_FP32) else self._draw(said)

    def _draw(self, x: Array) -> Array:
        bits = x.astype(np.float32).view(np.uint32)
        bits = (bits + self.dice.integers(0, 1 << 16, bits.shape, dtype=np.uint32)) & np.uint32(0xFFFF0000)
        return np.asarray(bits.view(np.float32), dtype=np.float64)


@dataclass(frozen=True)
class Neighboured(Rounded):
    """A layer reads rows that the request before this one wrote."""

    rows: list[Array] = field(default_factory=list)

    def cached(self, at: str, latent: Array) -> Array:
        if at != READS:
            return latent
        self.rows.append(latent)
        other = self.rows[-2][:ROWS] if len(self.rows) > 1 else latent[:ROWS]
        return np.concatenate([other, latent[len(other) :]])


@dataclass(frozen=True)
class Remembering(Rounded):
    """Some layers begin with what the request before this one left in them."""

    layers: str = ""  # a part of their names
    inputs: bool = False  # of the convolutions, where not the state
    left: dict[str, Array] = field(default_factory=dict)

    def remembered(self, at: str, shape: tuple[int, ...]) -> Array:
        nothing = super().remembered(at, shape)
        return self.left.get(at, nothing) if self.layers in at and self.inputs == (len(shape) == 2) else nothing

    def remember(self, at: str, state: Array) -> None:
        self.left[at] = state


def main() -> int:
    """Print one line for each computation."""
    checkpoint = load_matrix().checkpoints[CHECKPOINT]
    folder = find_weights(checkpoint)
    config, tensors = read_trained(folder)
    prompts = [Prompt.of(item, folder) for item in bank_for(checkpoint).facts(PROMPTS)]
    alone = _read_all(Rounded(config, tensors), prompts)
    told: dict[str, Glm5Next] = {
        f"right, rounded to either neighbour, draw {i}": Drawn(config, tensors, np.random.default_rng(i))
        for i in range(DRAWS)
    }
    told |= {name: of(config, tensors) for name, of in RIGHT.items()}
    told |= {fault.name: fault.plant(config, tensors, rounded=True) for fault in list_faults(config)}
    told["rows of another request"] = Neighboured(config, tensors)
    for layer in (str(i) for i, kind in enumerate(config["layer_types"]) if kind == "linear_attention"):
        name = f"layers.{layer}."
        told[f"state of another request, {name}"] = Remembering(config, tensors, name)
        told[f"inputs of another request, {name}"] = Remembering(config, tensors, name, inputs=True)
    told["state of another request, all layers"] = Remembering(config, tensors)
    for name, model in told.items():
        far = [measure_distance(a, b) for a, b in zip(alone, _read_all(model, prompts), strict=True)]
        sys.stdout.write(f"{name} | {find_largest(far):.3g} | {sum(d > 0 for d in far)} of {len(far)} moved\n")
        sys.stdout.flush()
    return 0


def _read_all(model: Glm5Next, prompts: Sequence[Prompt]) -> list[Logprobs]:
    return [prompt.list_likeliest(model)[:POSITIONS] for prompt in prompts]


if __name__ == "__main__":
    raise SystemExit(main())
