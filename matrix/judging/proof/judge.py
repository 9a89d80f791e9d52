"""Every proof of one cell, from what its plan asks for and what its engine shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from matrix.judging.kv_bytes import match_layouts, measure_token_bytes
from matrix.judging.observation import Seen
from matrix.judging.proof import backends, chunks, layouts, mtp, sizes
from matrix.judging.proof.chunks import PrefillProbe
from matrix.judging.proof.layouts import ReuseProbe
from matrix.judging.proof.outcome import FeatureProof, pick_strongest
from matrix.judging.requested import Requested


def judge_proofs(
    wanted: Requested,
    seen: Seen,
    *,
    ablation: Seen | None = None,
    probe: PrefillProbe | None = None,
    undrafted: Seen = (),
    reuse: ReuseProbe | None = None,
) -> tuple[FeatureProof, ...]:
    """One proof per requested feature, and for the KV layout, sparse attention and named backends.

    `ablation` was seen of the same cell without the feature; with it sizes are compared instead of computed.
    `undrafted` was seen before the answers whose drafts are judged; `reuse` is a prompt that was asked again.
    """
    return tuple(_iterate_proofs(wanted, seen, ablation=ablation, probe=probe, undrafted=undrafted, reuse=reuse))


def _iterate_proofs(
    wanted: Requested,
    seen: Seen,
    *,
    ablation: Seen | None,
    probe: PrefillProbe | None,
    undrafted: Seen,
    reuse: ReuseProbe | None,
) -> Iterator[FeatureProof]:
    # A draft with a checkpoint of its own keeps keys of its own in the same pool, whose shape nobody states.
    size = None if wanted.features & mtp.OTHER_DRAFTS else measure_token_bytes(seen, wanted.page_tokens)
    found = match_layouts(size, wanted) if size else ()
    layout = tuple(sizes.prove_kv_layout(wanted, size, found))
    yield from layout
    if "fp8_kv" in wanted.features:
        # An 8-bit cache is a layout like any other, so the layout's proof is the feature's.
        yield from (replace(p, feature="fp8_kv") for p in layout)
    yield from sizes.prove_dsa(wanted, seen, size, found)
    yield from backends.prove_backends(wanted, seen)
    if "indexcache" in wanted.features:
        without = measure_token_bytes(ablation, wanted.page_tokens) if ablation else None
        yield pick_strongest(
            [sizes.prove_indexcache(wanted, seen, size, found), *sizes.prove_by_ablation(wanted, size, without)]
        )
    for feature in wanted.features & mtp.DRAFTING:  # one: each is asked alone
        by_layer = mtp.prove_by_layer(wanted, size, found) if feature == mtp.FEATURE else ()
        yield replace(pick_strongest([mtp.prove_mtp(seen, undrafted), *by_layer]), feature=feature)
    if "chunked_prefill" in wanted.features:
        yield chunks.prove_by_probe(wanted.chunk_tokens, probe)
    yield from layouts.prove_layouts(wanted, seen, size, reuse)
