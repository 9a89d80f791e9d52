"""Is what was asked for in effect? Proven, refuted or unproven, with the rung of the ladder that decided it.

    parser accepted < config echoed < log line < counters and sizes < ablation < direct oracle

An echo can refute (the engine itself says that it does something else) and never proves. For a feature, neither does a
log line: lines are printed by code that need not do what they say. What cannot be seen is unproven, never proven.

    judge_proofs(wanted, seen, probe=...)         every proof of one cell
    mtp.prove_mtp, chunks.prove_by_probe         one feature alone
    sizes.prove_by_ablation, prove_by_wrong_type   the same cell without the feature; a launch that must break
"""

from matrix.judging.proof import chunks, mtp
from matrix.judging.proof.chunks import CHUNK_SLACK, PrefillProbe
from matrix.judging.proof.judge import judge_proofs
from matrix.judging.proof.layouts import ReuseProbe
from matrix.judging.proof.mtp import ACCEPT_LENGTH, ACCEPTED_SHARE, DRAFTED_TOKENS
from matrix.judging.proof.outcome import FeatureProof, Outcome, pick_strongest
from matrix.judging.proof.sizes import prove_by_ablation, prove_by_wrong_type

__all__ = [
    "ACCEPTED_SHARE",
    "ACCEPT_LENGTH",
    "CHUNK_SLACK",
    "DRAFTED_TOKENS",
    "FeatureProof",
    "Outcome",
    "PrefillProbe",
    "ReuseProbe",
    "chunks",
    "judge_proofs",
    "mtp",
    "pick_strongest",
    "prove_by_ablation",
    "prove_by_wrong_type",
]
