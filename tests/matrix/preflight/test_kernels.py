"""Which GPUs a wheel's libraries run on, and what preflight says of a launch that names a backend without code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from matrix.engine_kernels import Compiled
from matrix.fat_binaries import Library
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.preflight.kernels import KERNELS, find_gaps, format_wheel, parse_wheel, read_wheels, wheel_for
from matrix.preflight.plans import judge_plan
from matrix.preflight.snapshot import snapshot_for
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
FILES = sorted(path.stem for path in KERNELS.glob("*.json"))


@pytest.mark.parametrize(
    ("library", "runs"),
    [
        (Library(sass=("sm_90",)), {90}),
        (Library(sass=("sm_90a",)), {90}),
        (Library(sass=("sm_100f",)), {100}),
        (Library(sass=("sm_103a",)), set()),  # a: no other GPU, not even of its family
        (Library(sass=("sm_120", "sm_80")), {120}),
        (Library(ptx=("sm_80",)), {90, 100, 120}),  # the driver compiles it
        (Library(ptx=("sm_90a",)), {90}),
        (Library(ptx=("sm_100f",)), {100}),
        (Library(), set()),
    ],
)
def test_code_runs_where_nvidia_s_rules_let_it(library: Library, runs: set[int]) -> None:
    assert {sm for sm in (90, 100, 120) if library.runs_on(sm)} == runs


def test_sass_runs_on_later_gpus_of_its_major_version_only() -> None:
    assert Library(sass=("sm_80",)).runs_on(86) and not Library(sass=("sm_86",)).runs_on(80)
    assert Library(sass=("sm_100f",)).runs_on(103) and not Library(sass=("sm_100a",)).runs_on(103)


@pytest.mark.parametrize("stem", FILES)
def test_a_committed_file_is_canonical(stem: str) -> None:
    text = (KERNELS / f"{stem}.json").read_text(encoding="utf-8")
    assert format_wheel(parse_wheel(text)) == text
    assert len(parse_wheel(text).sha256) == 64


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("sglang_0_5_10_post1", ["sglang_kernel-0.4.1"]),
        ("sglang_0_5_17", ["sglang_kernel-0.4.5"]),
        ("sglang_0_5_23", ["sgl_flash_mla-1.0.0", "sglang_kernel-0.4.10"]),
        ("vllm_0_26_0", ["vllm-0.26.0"]),
        ("vllm_0_33_0", ["vllm-0.33.0"]),
    ],
)
def test_a_release_s_wheels_are_its_own_and_its_exact_pins(release: str, expected: list[str]) -> None:
    snapshot = snapshot_for(release)
    assert snapshot is not None
    assert sorted("-".join(w.wheel.split("-")[:2]) for w in read_wheels(snapshot) if w.libraries) == expected


@pytest.mark.parametrize("stem", ["sglang_kernel_0_4_1", "sglang_kernel_0_4_5", "vllm_0_26_0", "vllm_0_33_0"])
def test_no_wheel_has_flashmla_for_sm120(stem: str) -> None:
    """The fact under `No NSA backend of this release is built for SM120` and why vLLM chooses FlashInfer there."""
    found = wheel_for(stem)
    assert found is not None
    flashmla = [library for path, library in found.libraries.items() if "flashmla" in path]
    assert flashmla and all((f.runs_on(90), f.runs_on(100), f.runs_on(120)) == (True, True, False) for f in flashmla)


def of(release: str, sm: int) -> Plan:
    return make_plan(
        MATRIX, next(c for c in expand_matrix(MATRIX).runnable if (c.release.id, c.rig.gpu.sm) == (release, sm))
    )


def naming(planned: Plan, flag: str, value: str) -> Plan:
    """Return the same plan with one more flag."""
    more = replace(planned.sections["args"][0], path=(flag,), value=value)
    return replace(planned, sections={**planned.sections, "args": (*planned.sections["args"], more)})


def test_a_backend_named_without_code_for_the_gpu_is_rejected() -> None:
    launch = of("vllm_0_33_0", 120)
    assert judge_plan(launch).verdict == "accept"
    refused = judge_plan(naming(launch, "--attention-backend", "FLASHMLA_SPARSE"))
    (error,) = [r for r in refused.remarks if r.level == "error"]
    assert (refused.verdict, error.kind, error.subject) == ("reject", "no_kernel", "FLASHMLA_SPARSE")
    assert "FLASHMLA_SPARSE cannot run: vllm/_flashmla_C.abi3.so" in error.message
    assert "nothing that sm_120 can run [vllm-0.33.0-" in error.message


def test_what_the_engine_may_avoid_is_a_note() -> None:
    notes = [r.subject for r in judge_plan(of("sglang_0_5_23", 120)).remarks if r.kind == "no_kernel"]
    assert notes == ["flash_mla/_C_legacy.abi3.so", "sgl_kernel/flashmla_ops.abi3.so"]
    assert not [r for r in judge_plan(of("sglang_0_5_17", 90)).remarks if r.kind == "no_kernel"]


def test_every_compiled_entry_names_a_library_of_some_wheel_and_backends_that_a_flag_takes() -> None:
    for engine in MATRIX.engines.values():
        releases = [r for r in MATRIX.releases.values() if r.engine == engine.id]
        snapshots = [s for r in releases if (s := snapshot_for(r.id))]
        taken = {value for s in snapshots for values in s.backends().values() for value in values}
        for entry in engine.compiled:
            assert any(list(find_gaps(s, (entry,), 0, ())) for s in snapshots), entry.library
            assert set(entry.backends) <= taken, entry.library


def test_a_library_that_no_wheel_has_says_nothing() -> None:
    snapshot = snapshot_for("vllm_0_33_0")
    assert snapshot is not None
    absent = Compiled(library="vllm/_none*", backends=("X",), what="nothing", source="this test")
    assert list(find_gaps(snapshot, (absent,), 120, ["X"])) == []
