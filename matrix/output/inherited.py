"""The variables of a shell that an engine gets when it is launched as a process, by name: an allow-list.

An engine compiles kernels with what the user's shell names: a C++ compiler (`CXX`), flags of nvcc, folders of headers.
SGLang's kernel cache is keyed on `$CXX --version`, so without `CXX` a cache that was warmed in that shell is missed and
two modules of 460 s are compiled again, by another compiler (an H200's host, 2026-11-30). Read in the wheels of SGLang
0.5.23 and 0.5.17, vLLM 0.33.0 and what they pin (FlashInfer 0.7.2, tvm-ffi 0.1.11, humming 0.1.12 and 0.1.19, torch
2.14, Triton 3.8.0); TensorRT-LLM was not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from matrix import variables
from matrix.output.writable import JIT_CACHES

PASSED: Final = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "TERM",
        "TZ",
        "LANG",
        "LANGUAGE",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "HF_HOME",
        "HF_HUB_CACHE",
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "XDG_CACHE_HOME",
        variables.CACHE.name,
        "XDG_RUNTIME_DIR",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    }
)
# What decides the machine code of a kernel that is compiled here, and who reads it.
COMPILERS: Final[Mapping[str, str]] = {
    "CC": "Triton (runtime/build.py), FlashInfer and torch (nvcc's -ccbin), tvm-ffi",
    "CXX": "SGLang (kernels/jit/utils/compile/toolchain.py), FlashInfer, tvm-ffi, torch, humming, Triton",
    "CUDACXX": "torch (_inductor/codegen/cuda/compile_utils.py), FlashInfer's b12x",
    "CUDAHOSTCXX": "CMake; nobody in the wheels that were read",
    "NVCC_CCBIN": "nvcc",
    "NVCC_PREPEND_FLAGS": "nvcc",
    "NVCC_APPEND_FLAGS": "nvcc",
    "PYTORCH_NVCC": "torch (utils/cpp_extension.py)",
    "FLASHINFER_NVCC": "FlashInfer (jit/cpp_ext.py)",
    "FLASHINFER_EXTRA_CFLAGS": "FlashInfer (jit/cpp_ext.py)",
    "FLASHINFER_EXTRA_CUDAFLAGS": "FlashInfer (jit/cpp_ext.py)",
    "FLASHINFER_EXTRA_LDFLAGS": "FlashInfer (jit/cpp_ext.py)",
    "HUMMING_COMPILER": "humming (jit/runtime.py)",
    "TRITON_PTXAS_PATH": "Triton, torch",
    "TRITON_PTXAS_BLACKWELL_PATH": "Triton, FlashInfer",
    "CUTE_DSL_PTXAS_PATH": "vLLM's and SGLang's flash attention, quack",
    "FLASHINFER_KDA_PTXAS": "FlashInfer (kda_kernels/ptx/static_runtime.py)",
    "DG_JIT_NVCC_COMPILER": "DeepGEMM",
    "DG_JIT_CPP_STANDARD": "DeepGEMM",
    "TORCH_CUDA_ARCH_LIST": "torch (utils/cpp_extension.py)",
    "FLASHINFER_CUDA_ARCH_LIST": "FlashInfer (compilation_context.py)",
    "TVM_FFI_CUDA_ARCH_LIST": "tvm-ffi (cpp/extension.py)",
    "CPATH": "gcc, clang",
    "C_INCLUDE_PATH": "gcc, clang",
    "CPLUS_INCLUDE_PATH": "gcc, clang",
    "LIBRARY_PATH": "gcc, clang",
    "COMPILER_PATH": "gcc",
    "GCC_EXEC_PREFIX": "gcc",
}
# Decide how fast a kernel is compiled and how much memory that takes, not what comes out.
COMPILE_SPEED: Final[Mapping[str, str]] = {
    "MAX_JOBS": "torch, FlashInfer, tvm-ffi, SGLang: how many compiler calls at once",
    "FLASHINFER_NVCC_THREADS": "FlashInfer (jit/cpp_ext.py)",
    "FLASHINFER_CXX_LAUNCHER": "FlashInfer (jit/cpp_ext.py), e.g. ccache",
    "FLASHINFER_NVCC_LAUNCHER": "FlashInfer (jit/cpp_ext.py), e.g. ccache",
}
# The switches of the communication libraries belong to the host: a fabric without multicast has them turned off there.
INHERITED_PREFIXES: Final = ("LC_", "CUDA_", "NVIDIA_", "NCCL_", "NVSHMEM_", "TORCH_SYMM_MEM_", "OMP_")
SECRET: Final = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|AUTH")
# Folders of compiled kernels are the user's to place, e.g. on a disk that outlives the host.
INHERITED: Final = PASSED | JIT_CACHES.keys() | COMPILERS.keys() | COMPILE_SPEED.keys()
