"""Hold the recorded references against a second implementation: mlx-lm in float32 on a CPU.

    python3 -m venv /tmp/second
    /tmp/second/bin/pip install "mlx[cpu]==0.32.4" mlx-lm==0.32.2 pyyaml jsonschema numpy packaging
    /tmp/second/bin/python -m lab.references.second_oracle

mlx-lm shares no code with transformers, so an error of both is unlikely. It does not know index sharing: whatever the
config asks for, each layer selects for itself (FFFF). So it must agree with the references of FFFF, and be as far from
the others as transformers is; the page says by how much (docs/evidence/frozen-prompts).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fixtures.weights.locate import find_weights
from lab.references.oracle import Candidates, Oracle, list_wanted, make_attention_config
from matrix.output.command_line import CommandLine
from suites.measure import logprob_probe as signature
from suites.measure.recordings import DENSE
from suites.measure.references import ALL, HALF, Key, read_references
from suites.measure.rendering import make_encoder

TOLERANCE: Final = 5e-5  # nats, of two float32 implementations that add in another order


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleComparison:
    """One recorded prompt: how far the second implementation is from it, in nats, at its farthest position."""

    key: Key
    tokens: int
    farthest: float
    same_words: bool


class SecondOracle(Oracle):
    """One checkpoint with one way of attending, computed by mlx-lm."""

    def __init__(self, directory: Path, key: Key) -> None:
        import mlx.core as mx
        from mlx_lm.utils import load_model
        from transformers import AutoTokenizer

        mx.set_default_device(mx.cpu)
        self._mx = mx
        self.model, _ = load_model(directory, model_config=make_attention_config(key))
        self.model.set_dtype(mx.float32)
        # It stops nowhere: as many tokens are compared as were recorded.
        self._tokenizer, self._stop = AutoTokenizer.from_pretrained(directory), set[int]()

    def _predict_last(self, ids: list[int], count: int) -> list[Candidates]:
        import numpy as np

        logits = np.asarray(self.model(self._mx.array([ids]))[0, -count:], dtype=np.float64)
        # before exp, which overflows from 710 on in float64
        shifted = logits - logits.max(axis=-1, keepdims=True)
        logprobs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        best = np.argsort(-logprobs, axis=-1)[:, : signature.TOP]
        return [[(int(i), float(row[i])) for i in chosen] for row, chosen in zip(logprobs, best, strict=True)]


def compare_references(most_tokens: int) -> Iterator[OracleComparison]:
    """Ask for every recorded prompt of at most so many tokens. Ways that share indexers are asked for, too."""
    wanted = {str(key): pair for key, pair in list_wanted().items()}
    for record in read_references():
        key = Key(**{name: record[name] for name in ("weights", "index_topk", "way", "item")})
        # a record that no cell wants any more has no weights to be asked with
        if str(key) not in wanted or record["prompt_tokens"] > most_tokens:
            continue
        checkpoint, item = wanted[str(key)]
        directory = find_weights(checkpoint)
        text = "".join(position[0][0] for position in record["positions"])
        said = SecondOracle(directory, key).says(make_encoder(directory)(item), text, signature.max_tokens(item))
        yield OracleComparison(
            key=key,
            tokens=record["prompt_tokens"],
            farthest=_find_farthest(record["positions"], said),
            same_words="".join(p[0][0] for p in said[: len(record["positions"])]) == text,
        )


def _find_farthest(recorded: Sequence[Any], said: Sequence[Sequence[tuple[str, float]]]) -> float:
    """Find the largest difference of the chosen token's logprob where both say the same token; elsewhere nothing."""
    pairs = zip(recorded, said, strict=False)
    return max((abs(a[0][1] - b[0][1]) for a, b in pairs if a[0][0] == b[0][0]), default=float("inf"))


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line a reference; exit code 1 where a reference of FFFF is farther than the tolerance."""
    parser = CommandLine(prog="second-oracle", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--most-tokens", type=int, default=1 << 20, metavar="N", help="leave longer prompts out")
    worst = 0.0
    for each in compare_references(parser.parse_args(argv).most_tokens):
        # ways without sharing: of the others mlx-lm computes something else on purpose, so distance is right there
        own = each.key.way in ("FFFF", DENSE, HALF, ALL)
        worst = max(worst, each.farthest if own else 0.0)
        words = "the same words" if each.same_words else "other words"
        about = f"{each.key.weights} index_topk {each.key.index_topk} {each.key.way} {each.tokens} tokens"
        sys.stdout.write(f"{about}: {each.farthest:.2g} nats, {words}\n")
        sys.stdout.flush()
    sys.stdout.write(f"FFFF, dense and short prompts: at most {worst:.2g} nats (tolerance {TOLERANCE:.0e})\n")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    raise SystemExit(main())
