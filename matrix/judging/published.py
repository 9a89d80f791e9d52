"""Compares a published number with physics and with ours: pure arithmetic that the suites and the ledger share."""

from __future__ import annotations

from typing import Final

from matrix.hardware import Rig
from matrix.model import Checkpoint

CLAIM_SHARE: Final = 0.80  # another host and version than the published table's: a loose floor
CLAIM_TPOT: Final = 1.25
MTP_MOST_TOKENS: Final = 4  # accepted per step in the recipes: 3 drafts and one


def compute_decode_limit(rig: Rig, checkpoint: Checkpoint, *, drafts: bool) -> float | None:
    """Compute the decode limit of one stream, in tokens per second: the rig's bandwidth over the bytes that one token
    must read. It is generous, because only experts are counted. None where bandwidth or size is not known."""
    bandwidth, size = rig.gpu.memory_bandwidth_bytes_per_s * rig.gpus, checkpoint.size_bytes
    if not bandwidth or not size:
        return None
    active = size * checkpoint.experts_per_token / checkpoint.experts
    return (MTP_MOST_TOKENS if drafts else 1) * bandwidth / active


def is_near_claim(ratio: float, *, more_is_better: bool) -> bool:
    """Return whether ours over the published number is near enough, or better."""
    return ratio >= CLAIM_SHARE if more_is_better else ratio <= CLAIM_TPOT
