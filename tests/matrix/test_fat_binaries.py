"""Which code a GPU can execute: `a` is one GPU's, `f` a family's, PTX every later one's."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.checkout import CHECKOUT
from matrix.fat_binaries import Library, list_silent

KERNELS = CHECKOUT / "matrix" / "snapshots" / "kernels"
RUNS = {  # SASS, capability -> whether it runs
    ("sm_120a", 120): True,
    ("sm_120a", 121): False,
    ("sm_120f", 121): True,
    ("sm_120", 121): True,
    ("sm_100a", 103): False,
    ("sm_100f", 103): True,
    ("sm_100", 103): True,
    ("sm_103a", 100): False,
    ("sm_90", 103): False,
}


@pytest.mark.parametrize(("code", "runs"), RUNS.items())
def test_siblings_of_a_family_share_what_is_built_for_the_family(code: tuple[str, int], runs: bool) -> None:
    sass, sm = code
    assert Library(sass=(sass,)).runs_on(sm) is runs


def test_the_wheel_of_one_cpu_says_nothing_of_the_other() -> None:
    """SGLang's kernels: nothing for SM121 on x86-64, sm_121a on aarch64; of a wheel nobody read, nothing is said."""
    pattern = ["sgl_kernel/*/common_ops*"]
    assert list(list_silent(KERNELS, ["sglang_kernel_0_4_10"], pattern, 121) or ())
    assert list(list_silent(KERNELS, ["sglang_kernel_0_4_10_aarch64"], pattern, 121) or ["?"]) == []
    assert list_silent(KERNELS, ["sglang_kernel_9"], pattern, 121) is None
    assert list_silent(Path("/nowhere"), ["sglang_kernel_0_4_10"], pattern, 121) is None
