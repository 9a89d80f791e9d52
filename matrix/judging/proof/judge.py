"""Every proof of one cell, from what its plan asks for and what its engine shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from matrix.judging.kv_bytes import readings, token_bytes
from matrix.judging.observation import Seen
from matrix.judging.proof import backends, chunks, mtp, sizes
from matrix.judging.proof.chunks import Probe
from matrix.judging.proof.outcome import Proof, strongest
from matrix.judging.requested import Requested


def judge(
    wanted: Requested, seen: Seen, *, ablation: Seen | None = None, probe: Probe | None = None, undrafted: Seen = ()
) -> tuple[Proof, ...]:
    """One proof per requested feature, and for the KV layout, sparse attention and named backends.

    `ablation` was seen of the same cell without the feature; with it sizes are compared instead of computed.
    `undrafted` was seen before the answers whose drafts are judged.
    """
    return tuple(_proofs(wanted, seen, ablation, probe, undrafted))


def _proofs(
    wanted: Requested, seen: Seen, ablation: Seen | None, probe: Probe | None, undrafted: Seen
) -> Iterator[Proof]:
    size = token_bytes(seen, wanted.page_tokens)
    found = readings(size, wanted) if size else ()
    layout = tuple(sizes.kv_layout(wanted, size, found))
    yield from layout
    if "fp8_kv" in wanted.features:
        yield from (replace(p, feature="fp8_kv") for p in layout)
    yield from sizes.dsa(wanted, seen, size, found)
    yield from backends.named(wanted, seen)
    if "indexcache" in wanted.features:
        without = token_bytes(ablation, wanted.page_tokens) if ablation else None
        yield strongest([sizes.indexcache(wanted, seen, size, found), *sizes.by_ablation(wanted, size, without)])
    if "mtp" in wanted.features:
        yield strongest([mtp.of_engine(seen, undrafted), *mtp.of_layer(wanted, size, found)])
    if "chunked_prefill" in wanted.features:
        yield chunks.of_probe(wanted.chunk_tokens, probe)
