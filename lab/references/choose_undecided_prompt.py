"""Choose the prompt seed whose output best separates the IndexCache patterns despite quantisation noise.

    /tmp/oracle/bin/python -m lab.references.choose_undecided_prompt 1 160      # seeds

The environment is that of lab.references.oracle.

For `UNSURE` in fixtures/banks/canary_bank.py, after new weights. A selection is a cut: rounding may move a token across
it, and what one pattern makes of the prompt becomes what another does. So a seed is worth its margin: half of what the
nearest two patterns are apart over the most that rounding costs any of them, in bf16 with the indexer and the cache in
16 and 8 bits, and with every quantised member's weights. Take one with 3 or more. Activations are not quantised here.

A GPU is used where torch finds one: a fifth of a second a seed on an H100 and some seconds for one that is worth a
line. On two cores it is minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import permutations
from pathlib import Path
from typing import Any, Final

from fixtures.banks import canary
from fixtures.canary.checkpoint import CheckpointDirectory, StoredTensor
from fixtures.canary.derive.minifloat import E4M3
from fixtures.canary.derive.quantise import dequantise
from fixtures.canary.writing import Draft, write_checkpoint
from fixtures.weights.locate import find_weights
from lab.references.oracle import Oracle, list_wanted
from matrix.judging.kl import top_k_kl
from matrix.judging.logprobs import Logprobs
from matrix.output.command_line import CommandLine
from matrix.yaml.load import load_matrix
from suites.measure.logprob_probe import UNSURE_TOKENS
from suites.measure.references import PRUNED, SOURCE, Key, read_positions
from suites.measure.rendering import make_encoder

CODES: Final = 3  # in the text, each for one name: enough that a made-up name is no copy
APART: Final = 5e-2  # nats a position: below it a seed is not looked at further
BLOCK: Final = 128  # values under one scale: a head of the indexer, and what engines use for an 8-bit latent
BEGINNING: Final = "There is no secret code for"  # of every answer: one pass instead of six
QUANTISED: Final = {"fp8": "canary_fp8", "nvfp4": "canary_modelopt_fp4", "w4a16": "canary_w4a16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounding:
    """How a launch computes: `indexer` and `cache` name the storage of queries and keys, None for no rounding."""

    name: str
    weights: str
    indexer: str | None = None
    cache: str | None = None


def list_roundings(weights: str) -> list[Rounding]:
    """Return the roundings of one set of weights: those seen in engines and, for the source, the quantised members."""
    own = partial(Rounding, weights=weights)
    kinds = [own(name=f"indexer {kind}", indexer=kind) for kind in ("power_of_two", "exact", "rotated")]
    members = [
        Rounding(name=name, weights=member, indexer=kind)
        for name, member in (QUANTISED if weights == SOURCE else {}).items()
        for kind in ("power_of_two", "exact")
    ]
    return [own(name="bf16"), *kinds, own(name="cache", cache="exact"), *members]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """Nats per position: the distance of the nearest two patterns, and the largest cost of each rounding."""

    apart: float
    costs: Mapping[str, float]

    @property
    def margin(self) -> float:
        return self.apart / 2 / max(self.costs.values())

    def __str__(self) -> str:
        costs = ", ".join(f"{name} {nats:.1e}" for name, nats in self.costs.items())
        return f"margin {self.margin:.1f}, apart {self.apart:.1e}: {costs}"


def measure_nearest(ways: Mapping[str, Logprobs]) -> float:
    """Return the smallest divergence between two patterns, in either direction."""
    # both directions: a divergence is not symmetric, and a launch may stand on either side
    return min(top_k_kl(ways[a], ways[b]).mean for a, b in permutations(ways, 2))


class WeightFamily:
    """One set of weights in every way that cells use, in float32, and in every rounding."""

    def __init__(self, weights: str, ways: Sequence[str], index_topk: int, folder: Path) -> None:
        def key(way: str) -> Key:
            return Key(weights=weights, index_topk=index_topk, way=way, item="")

        self._right = {
            way: Oracle(_dequantise_weights(weights, folder), key(way), device=_choose_device()) for way in ways
        }
        self._rounded = [
            (rounding, way, _make_rounded(rounding, key(way), folder))
            for rounding in list_roundings(weights)
            for way in ways
        ]

    def worth(self, prompt: list[int]) -> Worth | None:
        """Return the worth of a prompt; None where the patterns are too close."""
        right, said = dict[str, Logprobs](), BEGINNING
        for way, oracle in self._right.items():
            right[way], said = _ask_oracle(oracle, prompt, said)
            # before the roundings, up to eleven a pattern: few seeds get this far
            if len(right) > 1 and measure_nearest(right) < APART:
                return None
        costs = dict[str, float]()
        for rounding, way, oracle in self._rounded:
            found, said = _ask_oracle(oracle, prompt, said)
            # the worst of all patterns: the margin must hold for whichever a launch was asked for
            costs[rounding.name] = max(costs.get(rounding.name, 0.0), top_k_kl(right[way], found).mean)
        return Worth(apart=measure_nearest(right), costs=costs)


def _ask_oracle(oracle: Oracle, prompt: list[int], expected: str) -> tuple[Logprobs, str]:
    found = oracle.says(prompt, expected, UNSURE_TOKENS)
    return read_positions({"positions": found}), "".join(candidates[0][0] for candidates in found)


def _choose_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@cache
def _find_directory(weights: str) -> Path:
    return find_weights(load_matrix().checkpoints[weights])


def _dequantise_weights(weights: str, folder: Path) -> Path:
    """Return weights that transformers reads unchanged; of a quantised member its kernels' view, in float32."""
    source = _find_directory(weights)
    # transformers reads bf16 and pruned weights by itself
    if weights not in QUANTISED.values():
        return source
    if not (made := folder / weights).exists():
        tensors = {
            name: StoredTensor("F32", values) for name, values in dequantise(CheckpointDirectory(source)).items()
        }
        plain = CheckpointDirectory(_find_directory(SOURCE))
        write_checkpoint(made, plain, Draft(tensors=tensors, config=plain.config))
    return made


def _make_rounded(rounding: Rounding, key: Key, folder: Path) -> Oracle:
    oracle = Oracle(_dequantise_weights(rounding.weights, folder), key, dtype="bfloat16", device=_choose_device())
    kinds = {"indexer.wq_b": rounding.indexer, "indexer.k_norm": rounding.indexer, "kv_a_layernorm": rounding.cache}
    for name, module in oracle.model.named_modules():
        for suffix, kind in kinds.items():
            if kind and name.endswith(suffix):
                # kind=kind: a closure over the loop would round every module by the last kind
                module.register_forward_hook(lambda _module, _given, out, kind=kind: in_8_bits(out, kind))
    return oracle


def in_8_bits(values: Any, kind: str) -> Any:
    """Store a tensor as E4M3 and read it again: one scale per block of its last axis (a power of two or exact), or in a
    basis in which a Hadamard matrix spreads outliers.

    The indexer is rounded before its rotary embedding, engines do so after it: as much noise, drawn otherwise.
    """
    import torch

    blocks = values.float().unflatten(-1, (-1, BLOCK))
    turned = blocks @ _hadamard(blocks.device) if kind == "rotated" else blocks
    # the smallest float instead of 0: a block of zeros would divide by it
    scale = turned.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny) / E4M3.largest
    scale = torch.exp2(torch.ceil(torch.log2(scale))) if kind == "power_of_two" else scale
    stored = (turned / scale).to(torch.float8_e4m3fn).float() * scale
    back = stored @ _hadamard(blocks.device) if kind == "rotated" else stored  # its own inverse
    return back.flatten(-2).to(values.dtype)


@cache
def _hadamard(device: Any) -> Any:
    import torch

    two = torch.tensor([[1.0, 1.0], [1.0, -1.0]], device=device) / 2**0.5
    grown = torch.ones(1, 1, device=device)
    while len(grown) < BLOCK:
        grown = torch.kron(grown, two)
    return grown


def list_families(index_topk: int, folder: Path) -> Iterator[tuple[str, WeightFamily]]:
    """Yield the families whose cells have several patterns."""
    keys = list_wanted()
    for weights in (SOURCE, *(f"canary_{name}" for name in PRUNED)):
        asked = {key.way for key in keys if (key.weights, key.index_topk) == (weights, index_topk)}
        ways = sorted(way for way in asked if set(way) <= set("FS"))
        if len(ways) > 1:
            yield weights, WeightFamily(weights, ways, index_topk, folder)


def make_parser() -> argparse.ArgumentParser:
    own = CommandLine(prog="glm-matrix prompt-seed", description=(__doc__ or "").splitlines()[0])
    own.add_argument("first", type=int, help="first seed to try")
    own.add_argument("last", type=int, help="last seed to try")
    own.add_argument(
        "--index-topk", type=int, default=2048, metavar="N", help="index_topk of the launches (default 2048)"
    )
    own.add_argument(
        "--tokens", type=int, default=3000, metavar="N", help="approximate length of the prompt (default 3000)"
    )
    return own


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for each seed that is worth one."""
    args = make_parser().parse_args(argv)
    ids = make_encoder(_find_directory(SOURCE))
    with tempfile.TemporaryDirectory() as folder:
        asked = list(list_families(args.index_topk, Path(folder)))
        for seed in range(args.first, args.last + 1):
            prompt = ids(canary.unsure(seed, tokens=args.tokens, codes=CODES))
            for weights, family in asked:
                if worth := family.worth(prompt):
                    sys.stdout.write(f"seed {seed}, {weights}, {len(prompt)} tokens: {worth}\n")
                    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
