"""Who reads an environment variable: this engine, somebody else, or nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from matrix.preflight.foreign_variables import find_slip
from matrix.preflight.snapshot import Snapshot

# A name with the engine's own prefix that its text never reads is a no-op.
ENGINE_PREFIXES = {
    "sglang": ("SGLANG_", "SGL_"),
    "vllm": ("VLLM_",),
    "trtllm": ("TLLM_", "TRTLLM_"),
    "llamacpp": ("GGML_", "LLAMA_"),
}

# Read by libraries and drivers below the engine, not by its own Python: nothing to say about them here.
LIBRARY_PREFIXES = (
    "NCCL_",
    "CUDA_",
    "OMP_",
    "MKL_",
    "TORCH",
    "PYTORCH_",
    "TRITON_",
    "GLOO_",
    "CUBLAS",
    "CUTE_DSL_",
    "FLASHINFER_",
    "HF_",
    "HUGGINGFACE_",
    "TRANSFORMERS_",
    "TOKENIZERS_",
    "TVM_",
    "XDG_",
    "NVIDIA_TF32_OVERRIDE",
    "LD_",
    "PYTHON",
    "DG_",
    "UCX_",
    "NVSHMEM_",
    "TMPDIR",
    "HOME",
    "PATH",
    "LC_",
    "LANG",
)

# Names that mislead often enough to be worth a sentence.
MISLEADING = {
    "NVIDIA_VISIBLE_DEVICES": "read only by the container runtime; a process wants CUDA_VISIBLE_DEVICES",
    "SAFETENSORS_FAST_GPU": "no engine of this matrix reads it (an option of old safetensors releases)",
}


@dataclass(frozen=True)
class VariableReading:
    """What to say about one variable."""

    level: Literal["warning", "note"]
    kind: str
    message: str


def name_today(name: str, engine: str) -> str:
    """Return the name under which an engine reads a variable.

    Every SGLang wheel that was looked at (0.5.10.post1, 0.5.17, 0.5.23) rewrites its former prefix at its import.
    """
    former = engine == "sglang" and name.startswith("SGL_")
    return f"SGLANG_{name.removeprefix('SGL_')}" if former else name


def explain_variable(name: str, snapshot: Snapshot) -> VariableReading | None:
    """None when the variable is read, or is none of the engine's business."""
    # before the plain question: a deprecated variable is read as well
    if name in snapshot.env_deprecated:
        return VariableReading("warning", "env_deprecated", f"{name}: {snapshot.env_deprecated[name]}")
    if name in snapshot.env:
        return None
    if (today := name_today(name, snapshot.engine)) in snapshot.env:
        return VariableReading("warning", "env_deprecated", f"{name}: read as {today}, the prefix of today")
    if name in MISLEADING:
        return VariableReading("warning", "env_misleading", f"{name}: {MISLEADING[name]}")
    # with no list of variables at all, "nothing reads it" would be said of every one
    if name.startswith(ENGINE_PREFIXES.get(snapshot.engine, ())) and (snapshot.env or "env" in snapshot.unread):
        return VariableReading("warning", "env_unread", f"{name}: nothing in {snapshot.release} reads it")
    if _other_engine(name, snapshot.engine):
        return VariableReading(
            "warning", "env_other_engine", f"{name} belongs to another engine than {snapshot.engine}"
        )
    if meant := find_slip(name):
        return VariableReading("warning", "env_misspelt", f"{name}: no library known here reads it; {meant} is read")
    if name.startswith(LIBRARY_PREFIXES):
        return None
    return VariableReading(
        "note", "env_unowned", f"{name}: neither {snapshot.release} nor a library known here reads it"
    )


def _other_engine(name: str, engine: str) -> bool:
    return any(name.startswith(prefixes) for owner, prefixes in ENGINE_PREFIXES.items() if owner != engine)
