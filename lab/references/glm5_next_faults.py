"""Measure what wrong computations of GLM-5.3-Flash's class make of the flash canary's frozen prompts.

    python -m lab.references.glm5_next_faults      two prompts, every fault: half an hour on a core

For the tolerance of `suites.checks.agreement`. The derivation in numpy is asked with one mechanism left out or set
otherwise at a time, and so are computations that are right but rounded, as engines round them. Printed is the mean
KL from the recorded reference, in nats a position, as the suites' own check computes it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from fixtures.banks.canary.render import END_OF_ANSWER
from fixtures.banks.item import Item
from fixtures.canary.checkpoint import CheckpointDirectory
from fixtures.canary.derive.minifloat import E4M3
from fixtures.weights.locate import find_weights
from lab.references.glm5_next import TOWER, Array, Glm5Next
from lab.references.oracle import list_wanted
from matrix.judging.kl import Divergence, merge_candidates, top_k_kl
from matrix.judging.logprobs import Logprobs
from matrix.yaml.load import load_matrix
from suites.measure import references
from suites.measure.logprob_probe import TOP
from suites.measure.rendering import TOKENIZER, make_encoder

CHECKPOINT: Final = "canary_flash"
IN_FP32: Final = ("mlp.gate", "weights_proj")  # what engines compute in float32: who is chosen must not be a tie
DENSE: Final = 1 << 14  # an index_topk that selects all of any prompt here
# Tensors that a loader may leave out: each is used by one mechanism alone.
UNLOADED: Final = (
    "layers.0.hc_attn_base",
    "layers.1.hc_ffn_scale",
    "layers.0.self_attn.q_conv1d.weight",
    "layers.2.self_attn.dt_bias",
    "layers.2.self_attn.A_log",
    "layers.2.self_attn.b_proj.weight",
    "layers.0.self_attn.g_b_proj.weight",
    "layers.1.self_attn.indexer.index_kpool_compress_ape",
    "layers.1.self_attn.indexer.index_kpool_compress_gate",
    "layers.3.self_attn.indexer.k_norm.bias",
    "layers.3.self_attn.indexer.weights_proj.weight",
    "layers.1.mlp.gate.e_score_correction_bias",
    "layers.3.mlp.shared_experts.down_proj.weight",
)
TAPS: Final = "layers.2.self_attn.k_conv1d.weight"
Tensors = Mapping[str, npt.NDArray[Any]]


class WithoutTail(Glm5Next):
    """Leaves out the incomplete pool, but for the query itself."""

    def selected(self, at: str, x: Array, latent: Array) -> npt.NDArray[np.bool_]:
        chosen = super().selected(at, x, latent)
        whole = np.arange(len(x)) + 1
        tail = np.arange(len(x))[None] >= (whole // self.config["index_kpool"] * self.config["index_kpool"])[:, None]
        return np.asarray((chosen & ~tail) | np.eye(len(x), dtype=np.bool_))


class Rounded(Glm5Next):
    """Right, but every projection's input and output is rounded to bf16, as engines store them."""

    def project(self, x: Array, name: str) -> Array:
        said = super().project(round_bf16(x), name)
        return said if name.endswith(IN_FP32) else round_bf16(said)


class RoundedWithoutTail(Rounded, WithoutTail):
    """Both."""


class PackedRows(Glm5Next):
    """Right, but the cached latent has 8 bits (E4M3) and one scale of 1, as fp8 rows of a cache without scales."""

    def cached(self, at: str, latent: Array) -> Array:
        rounded = E4M3.decode(E4M3.encode(latent.astype(np.float32)))
        return np.asarray(rounded, dtype=np.float64)


class RoundedWithPackedRows(Rounded, PackedRows):
    """Both."""


RIGHT: Final[Mapping[str, type[Glm5Next]]] = {
    "right, double precision": Glm5Next,
    "right, projections in bf16": Rounded,
    "right, rows in 8 bits": PackedRows,
    "right, both": RoundedWithPackedRows,
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One wrong computation: other settings, other tensors or another class."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    zeroed: str = ""
    turned: str = ""
    of: type[Glm5Next] = Glm5Next

    def plant(self, config: Mapping[str, Any], tensors: Tensors, *, rounded: bool = False) -> Glm5Next:
        of = self.of if not rounded else Rounded if self.of is Glm5Next else RoundedWithoutTail
        changed = dict(tensors)
        if self.zeroed:
            changed[TOWER + self.zeroed] = np.zeros_like(changed[TOWER + self.zeroed])
        if self.turned:
            changed[TOWER + self.turned] = changed[TOWER + self.turned][..., ::-1]
        return of({**config, **self.settings}, changed)


def list_faults(config: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield every wrong computation that is planted."""
    yield Fault(name="streams mixed by a matrix that is not doubly stochastic", settings={"hc_sinkhorn_iters": 1})
    yield Fault(name="feed-forward layers not clamped", settings={"swiglu_limit": 1e9})
    yield Fault(name="a slower decay (-4)", settings={"linear_lower_bound": -4.0})
    yield Fault(name="dense attention", settings={"index_topk": DENSE})
    yield Fault(name="a pool too few", settings={"index_topk": config["index_topk"] - config["index_kpool"]})
    yield Fault(name="half of index_topk", settings={"index_topk": config["index_topk"] // 2})
    yield Fault(name="an expert too few", settings={"num_experts_per_tok": config["num_experts_per_tok"] - 1})
    yield Fault(name="experts not scaled", settings={"routed_scaling_factor": 1.0})
    yield Fault(name="experts scaled by 2.4", settings={"routed_scaling_factor": 2.4})
    yield from (Fault(name=f"not loaded: {name}", zeroed=name) for name in UNLOADED)
    yield Fault(name="taps in the other order", turned=TAPS)
    yield Fault(name="the incomplete pool left out", of=WithoutTail)


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One frozen prompt with the reference's numbers."""

    ids: Sequence[int]
    said: Sequence[int]
    reference: Logprobs
    tokenizer: Tokenizer

    @classmethod
    def of(cls, item: Item, folder: Path, reference: Logprobs = ()) -> Prompt:
        """Make the prompt of an item whose answer is known."""
        tokenizer, encode = Tokenizer.from_file(str(folder / TOKENIZER)), make_encoder(folder)
        said = tokenizer.encode(f"{item.answer}{END_OF_ANSWER}", add_special_tokens=False).ids
        return cls(ids=encode(item), said=said, reference=reference, tokenizer=tokenizer)

    def compare(self, model: Glm5Next) -> Divergence:
        """Return how far a model is from the reference, told what the reference said before."""
        return top_k_kl(self.reference, self.list_likeliest(model))

    def list_likeliest(self, model: Glm5Next) -> Logprobs:
        """Return a model's candidates at each token of the answer, told what comes before."""
        return [self._name_likeliest(row) for row in model.logits([*self.ids, *self.said[:-1]], last=len(self.said))]

    def _name_likeliest(self, row: Array) -> dict[str, float]:
        logprobs = row - row.max() - np.log(np.exp(row - row.max()).sum())
        best = np.argsort(-logprobs, kind="stable")[:TOP].tolist()
        pairs = [(self.tokenizer.decode([i], skip_special_tokens=False), float(logprobs[i])) for i in best]
        return merge_candidates(pairs, pairs[0][0])


def read_prompts(folder: Path) -> list[Prompt]:
    """Return the frozen prompts of the flash canary, the shortest first."""
    wanted = {key: item for key, (_, item) in list_wanted().items() if key.weights == CHECKPOINT}
    known = [(next(r for r in references.read_references() if k.matches_record(r)), item) for k, item in wanted.items()]
    found = [Prompt.of(item, folder, references.read_positions(record)) for record, item in known]
    return sorted(found, key=lambda prompt: len(prompt.ids))


def read_trained(folder: Path) -> tuple[Mapping[str, Any], Tensors]:
    """Return the trained canary's text config and its tensors."""
    stored = CheckpointDirectory(folder)
    return stored.config["text_config"], {name: tensor.float32() for name, tensor in stored.tensors.items()}


def main() -> int:
    """Print one line for each prompt and computation."""
    folder = find_weights(load_matrix().checkpoints[CHECKPOINT])
    config, tensors = read_trained(folder)
    right = [Fault(name=name, of=of) for name, of in RIGHT.items()]
    for prompt in read_prompts(folder):
        for fault in (*right, *list_faults(config)):
            told = prompt.compare(fault.plant(config, tensors))
            parted = ", parted" if told.parted else ""
            line = f"{told.mean:.2e}, {told.largest:.2e} at most, {told.positions} positions{parted}"
            sys.stdout.write(f"{len(prompt.ids)} | {fault.name} | {line}\n")
            sys.stdout.flush()
    return 0


def round_bf16(x: Array) -> Array:
    """Round to the nearest bf16, ties to even."""
    bits = x.astype(np.float32).view(np.uint32)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return bits.view(np.float32).astype(np.float64)


if __name__ == "__main__":
    raise SystemExit(main())
