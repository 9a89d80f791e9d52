"""What a model class means for its files. A class that is not here is told to be unknown, and never passed in silence.

Classes and their sparse attention: the model registries of vLLM 0.33.0 and SGLang 0.5.23 (matrix/snapshots).
"""

from __future__ import annotations

from dataclasses import dataclass

from matrix.errors import suggest_nearest


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """`dsa`: layers select with an indexer. `thinks`: its parsers expect a thinking block that a request may switch."""

    dsa: bool = False
    mla: bool = True
    thinks: bool = True
    switch: str = "enable_thinking"  # the argument of the chat template that requests and parsers send
    indexer_interleaved: bool = False  # rope of the indexer: GLM-5's is interleaved, DeepSeek-V3.2's is half-split
    partly: str = ""  # what of it this linter does not judge


ARCHITECTURES = {
    "GlmMoeDsaForCausalLM": Architecture(dsa=True, indexer_interleaved=True),
    "Glm5NextForConditionalGeneration": Architecture(
        dsa=True, partly="its linear attention, pooled indexer and image tower are not judged"
    ),
    "Glm5NextForCausalLM": Architecture(dsa=True, partly="its linear attention and pooled indexer are not judged"),
    "DeepseekV32ForCausalLM": Architecture(dsa=True, switch="thinking"),
    "DeepseekV3ForCausalLM": Architecture(switch="thinking"),
    "DeepseekV2ForCausalLM": Architecture(thinks=False),
    "Glm4MoeForCausalLM": Architecture(mla=False),
    "Glm4MoeLiteForCausalLM": Architecture(),
}


def say_unknown(name: str) -> str:
    known = ", ".join(ARCHITECTURES)
    close = suggest_nearest(name, ARCHITECTURES)
    hint = close if close.startswith("; did you mean") else f"; known: {known}"
    return f"architecture {name[:80]!r} is unknown to this linter{hint}"
