"""Which launches compile kernels on their host, where these are kept, and that a container keeps them, too."""

from __future__ import annotations

import ast

import pytest

from matrix.engine_kernels import HostCompile
from matrix.output.writable import JIT_CACHES
from matrix.planning.compiles import describe_compile, find_compiles, locate_cache
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import make_plan
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
CELLS = {c.id: c for c in expand_matrix(MATRIX).runnable}
ENTRIES = [e for engine in MATRIX.engines.values() for e in engine.compiles]


def names_of(cell_id: str) -> list[str]:
    return [e.id for e in find_compiles(make_plan(MATRIX, CELLS[cell_id]))]


@pytest.mark.parametrize(
    ("cell_id", "named"),
    [
        ("sm90x1.sglang_0_5_23.canary_modelopt_fp4.baseline", ["marlin_experts_two"]),
        ("sm90x1.sglang_0_5_17.canary_modelopt_fp4.baseline", ["marlin_experts_tvm"]),
        ("sm90x1.sglang_0_5_23.canary_bf16.baseline", []),
        ("sm90x1.sglang_0_5_23.canary_fp8.baseline", ["deep_gemm"]),
        ("sm90x1.sglang_0_5_17.canary_fp8.baseline", ["deep_gemm_own_folder"]),
        ("sm90x1.vllm_0_33_0.canary_modelopt_fp4.baseline", []),  # Marlin is in vLLM's wheel
        ("sm90x1.vllm_0_33_0.canary_fp8.baseline", ["deep_gemm"]),
    ],
)
def test_a_release_on_a_gpu_with_a_format_compiles_what_its_wheel_decides(cell_id: str, named: list[str]) -> None:
    assert names_of(cell_id) == named


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.id)
def test_every_cache_survives_a_container(entry: HostCompile) -> None:
    """Without its variable an engine in a container compiles into a layer that goes with the container."""
    assert entry.variable in JIT_CACHES


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.warm], ids=lambda e: e.id)
def test_what_warms_a_cache_is_python(entry: HostCompile) -> None:
    ast.parse("\n".join(entry.warm))


def test_a_variable_moves_the_cache() -> None:
    (entry,) = find_compiles(make_plan(MATRIX, CELLS["sm90x1.sglang_0_5_23.canary_modelopt_fp4.baseline"]))
    assert locate_cache(entry, {}) == "~/.cache/sglang/jit"
    moved = {"SGLANG_JIT_CACHE_DIR": "/big/jit", "TVM_FFI_CACHE_DIR": "/other"}
    assert locate_cache(entry, moved) == "/big/jit"
    assert describe_compile(entry, moved).endswith("kept in /big/jit (SGLANG_JIT_CACHE_DIR)")
