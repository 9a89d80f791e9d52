"""The section that compiles ahead: by the engine's own interpreter, into the folder that the launch will read."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.serving.kernels import NOTHING, warm_kernels
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
CELLS = {c.id: c for c in expand_matrix(MATRIX).runnable}
NVFP4 = "sm90x1.sglang_0_5_23.canary_modelopt_fp4.baseline"


def plan_of(cell_id: str) -> Plan:
    return make_plan(MATRIX, CELLS[cell_id])


def run_section(plan: Plan, folder: Path, status: int = 0) -> tuple[str, str]:
    """Run the section with a stand-in for the engine's interpreter; return what it was given and what was warned."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nprintf "%s\\n" "$2"; echo "$SGLANG_JIT_CACHE_DIR"; exit {status}\n')
    python.chmod(0o755)
    script = 'set -euo pipefail\nwarn() { echo "$*" >&2; }\n' + "\n".join(warm_kernels(plan, container=False))
    done = subprocess.run(
        ["bash", "-c", script],
        check=False,
        env={"VENV": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    return done.stdout, done.stderr


def test_the_engines_own_interpreter_compiles_both_modules(tmp_path: Path) -> None:
    given, warned = run_section(plan_of(NVFP4), tmp_path)
    assert "import _jit_moe_wna16_marlin_module as module" in given
    assert "(torch.bfloat16, False, False, True, down, True) for down in (False, True)" in given
    assert warned == ""


def test_a_host_that_cannot_compile_ahead_goes_on(tmp_path: Path) -> None:
    _, warned = run_section(plan_of(NVFP4), tmp_path, status=1)
    assert warned == "it did not compile ahead; the launch compiles it\n"


def test_a_plan_that_moves_the_cache_moves_it_here_too(tmp_path: Path) -> None:
    plan = plan_of(NVFP4)
    setting = replace(plan.sections["env"][0], path=("SGLANG_JIT_CACHE_DIR",), value="/big disk/jit")
    plan = replace(plan, sections={**plan.sections, "env": (*plan.sections["env"], setting)})
    given, _ = run_section(plan, tmp_path)
    assert given.endswith("/big disk/jit\n")
    told = " ".join("\n".join(warm_kernels(plan, container=False)).split("\n# "))
    assert "kept in /big disk/jit (SGLANG_JIT_CACHE_DIR)" in told


def test_a_container_keeps_them_in_its_volume() -> None:
    text = "\n".join(warm_kernels(plan_of("sm90x1.vllm_0_33_0.canary_fp8.baseline"), container=True))
    assert "/glm-matrix/jit/deep_gemm" in text
    assert text.endswith("/glm-matrix/jit is the volume glm-matrix-jit-vllm_0_33_0-sm90: it outlives the container.")


def test_a_launch_that_compiles_nothing_long_says_so() -> None:
    assert list(warm_kernels(plan_of("sm90x1.sglang_0_5_23.canary_bf16.baseline"), container=False)) == [NOTHING]
