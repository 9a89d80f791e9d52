"""Where an engine in a container may write. Its root is read-only; these places are not, in every form that we print
and in every container that we start.

What an engine writes at run time was read in the wheels of vLLM 0.33.0, SGLang 0.5.23 and what both pin (FlashInfer
0.7.2, Triton 3.8.0, tvm-ffi 0.1.11, humming 0.1.19, huggingface_hub 2.4.0): each path begins at the home directory,
at XDG_CACHE_HOME, XDG_CONFIG_HOME or at the temporary directory; none lies in a package or in the working directory.
TensorRT-LLM was not read: expected to be the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from matrix.model import Release
from matrix.planning.plan import Plan

JIT: Final = "/glm-matrix/jit"
HOME: Final = "/glm-matrix/home"
# Compiled kernels are worth minutes per launch and are right only for one image, SM and driver. SGLANG_CACHE_DIR is
# none of them: beside kernels it holds which GPUs reach each other (custom_all_reduce_utils.py:267 of 0.5.23), by
# their index in a container, so that the next launch on other GPUs would believe it.
JIT_CACHES: Final[Mapping[str, str]] = {
    "B12X_COMPILE_CACHE_DIR": "b12x",  # FlashInfer, experimental/b12x/_lib/compiler.py:688
    "CUDA_CACHE_PATH": "cuda",
    "CUTE_DSL_CACHE_DIR": "cute_dsl",
    "DG_JIT_CACHE_DIR": "deep_gemm",
    "SGLANG_DG_CACHE_DIR": "deep_gemm_sglang",
    "FLASH_ATTENTION_CUTE_DSL_CACHE_DIR": "flash_attention",  # vllm_flash_attn/cute/cache_utils.py
    "FLASHINFER_WORKSPACE_BASE": "flashinfer",
    "MINFER_FMHA_CACHE_DIR": "minfer",  # vLLM, third_party/fmha_sm100/_jit_cache.py
    "SGLANG_CUTE_AOT_CACHE_DIR": "sglang_cute",  # environ.py:1387
    "SGLANG_JIT_CACHE_DIR": "sglang_jit",  # environ.py:1397
    "TILELANG_CACHE_DIR": "tilelang",  # SGLang, environ.py:2315
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TORCH_EXTENSIONS_DIR": "torch_extensions",
    "TRITON_CACHE_DIR": "triton",
    "TRTLLM_DG_CACHE_DIR": "deep_gemm_trtllm",  # default ~/.tensorrt_llm/cache, as FlashInfer's moe_ep says
    "TVM_FFI_CACHE_DIR": "tvm_ffi",
    "VLLM_CACHE_ROOT": "vllm",
}


class Scratch(NamedTuple):
    """A tmpfs, gone with the container. `size` bounds the host memory that it can take."""

    path: str
    size: str
    why: str


SCRATCH: Final = (
    Scratch("/tmp", "16g", "sockets between ranks, compilers, lock files, NCCL's and MPI's sessions"),  # noqa: S108
    Scratch("/var/tmp", "1g", "what POSIX programs take where TMPDIR is not followed"),  # noqa: S108
    Scratch(HOME, "4g", "~/.cache and ~/.config: Hugging Face's modules, usage statistics, caches without a variable"),
)
# `exec`, which Docker would not give: a kernel that was compiled here is a shared library, and is loaded from here.
OPTIONS: Final = "rw,exec,nosuid,nodev,mode=1777,size={}"
# A variable of the image may point into its root, so what follows HOME by default is said as well.
HUB: Final = "/glm-matrix/hub"  # the cache of Hugging Face in a container, read-only: it holds the draft
HOMES: Final[Mapping[str, str]] = {
    "HOME": HOME,
    "HF_HOME": f"{HOME}/.cache/huggingface",
    "XDG_CACHE_HOME": f"{HOME}/.cache",
    "XDG_CONFIG_HOME": f"{HOME}/.config",
}


def name_hub(plan: Plan) -> dict[str, str]:
    """Return where an engine in a container finds a draft by its name, asking nobody for it; empty without one."""
    return {"HF_HUB_CACHE": HUB, "HF_HUB_OFFLINE": "1"} if plan.settings.get("draft") else {}


def list_tmpfs(plan: Plan) -> dict[str, str]:
    """Return path -> mount options of each tmpfs; nothing where the release's root stays writable.

    A place that the recipe mounts itself is the recipe's: Docker refuses two mounts of one path.
    """
    if plan.cell.release.writable_root:
        return {}
    taken = {str(volume).split(":")[1] for volume in plan.values("launcher").get("volumes") or ()}
    return {place.path: OPTIONS.format(place.size) for place in SCRATCH if place.path not in taken}


def name_homes(release: Release) -> Mapping[str, str]:
    """Return the variables that lead an engine's writes to those places; nothing where its root stays writable."""
    return {} if release.writable_root else HOMES


def list_docker_words(plan: Plan) -> Iterator[list[str]]:
    """Yield the options of `docker run`, in groups that belong together."""
    if not plan.cell.release.writable_root:
        yield ["--read-only"]
        yield from (["--tmpfs", f"{path}:{options}"] for path, options in list_tmpfs(plan).items())


def explain_root(release: Release) -> str:
    """Return one line for people: what of the container's files can be written."""
    if release.writable_root:
        return f"writable, because {release.writable_root}"
    return f"read-only but for {', '.join(place.path for place in SCRATCH)} (tmpfs) and {JIT} (volume)"
