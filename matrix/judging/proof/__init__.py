"""Is what was asked for in effect? Proven, refuted or unproven, with the rung of the ladder that decided it.

    parser accepted < config echoed < log line < counters and sizes < ablation < direct oracle

An echo can refute (the engine itself says that it does something else) and never proves. For a feature, neither does a
log line: lines are printed by code that need not do what they say. What cannot be seen is unproven, never proven.

    judge(wanted, seen, probe=...)         every proof of one cell
    mtp.of_engine, chunks.of_probe         one feature alone
    sizes.by_ablation, wrong_type_breaks   the same cell without the feature; a launch that must break
"""

from matrix.judging.proof import chunks, mtp
from matrix.judging.proof.chunks import CHUNK_SLACK, Probe
from matrix.judging.proof.judge import judge
from matrix.judging.proof.mtp import ACCEPT_LENGTH, ACCEPTED_SHARE, DRAFTED_TOKENS
from matrix.judging.proof.outcome import Outcome, Proof, strongest
from matrix.judging.proof.sizes import by_ablation, wrong_type_breaks

__all__ = [
    "ACCEPTED_SHARE", "ACCEPT_LENGTH", "CHUNK_SLACK", "DRAFTED_TOKENS",
    "Outcome", "Probe", "Proof", "by_ablation", "chunks", "judge", "mtp", "strongest", "wrong_type_breaks",
]  # fmt: skip
