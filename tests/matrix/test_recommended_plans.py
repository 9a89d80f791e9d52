"""The recommended plans of the axes: what each sets, and what none may set."""

from __future__ import annotations

import pytest

from matrix.model import Cell
from matrix.planning import fit
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import make_plan
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
WORLD = expand_matrix(MATRIX)


def test_every_recommended_window_fits_into_the_memory_of_its_rig() -> None:
    assert [c.id for c in WORLD.runnable if _too_large(c)] == []


def _too_large(cell: Cell) -> bool:
    found = fit.fit_of_plan(make_plan(MATRIX, cell))
    return found is not None and not found.ok


def test_every_plan_tells_the_suites_its_window_chunk_and_index_topk() -> None:
    needed = {"context", "index_topk", "chunk_tokens", "max_running_requests", "thinking"}
    lacking = [c for c in WORLD.runnable if needed - make_plan(MATRIX, c).settings.keys() - _in_one_piece(c)]
    assert {c.release.id for c in lacking} <= {"transformers_5_23_0"}  # the oracle takes a prompt in one piece


def _in_one_piece(cell: Cell) -> set[str]:
    """On a canary chunked prefill is a factor of its own: these two can be told not to cut, and are."""
    uncut = cell.checkpoint.canary and cell.engine.id in ("vllm", "sglang") and "chunked_prefill" not in cell.features
    return {"chunk_tokens"} if uncut else set()


@pytest.mark.parametrize(
    ("cell_id", "flags"),
    [
        ("vllm_0_26_0.canary_wide.mtp", {"--disable-custom-all-reduce"}),
        (
            "sglang_0_5_17.canary_wide.mtp",
            {"--disable-custom-all-reduce", "--enforce-disable-flashinfer-allreduce-fusion"},
        ),
    ],
)
@pytest.mark.parametrize("rig", ["sm90x2_h100", "sm90x4", "sm90x8"])
def test_a_canary_on_several_gpus_needs_no_multicast(rig: str, cell_id: str, flags: set[str]) -> None:
    """Two H100 without it wait for one another for ever (sglang#29073); one GPU has nobody to wait for."""
    assert flags <= set(make_plan(MATRIX, _cell(f"{rig}.{cell_id}")).arguments())
    alone = f"sm90x1.{cell_id.replace('wide.mtp', 'bf16.baseline')}"
    assert not flags & set(make_plan(MATRIX, _cell(alone)).arguments())


def test_a_canary_without_chunked_prefill_is_launched_without_chunks() -> None:
    for name in ("sm90x1.vllm_0_26_0.canary_bf16", "sm90x1.sglang_0_5_17.canary_bf16"):
        plain, cut = (make_plan(MATRIX, _cell(f"{name}.{f}")) for f in ("baseline", "chunked_prefill"))
        assert plain.fingerprint != cut.fingerprint
        assert "chunk_tokens" not in plain.settings
        assert cut.settings["chunk_tokens"] == 4096


def _cell(cell_id: str) -> Cell:
    return next(c for c in WORLD.runnable if c.id == cell_id)


def test_fp8_kv_is_asked_of_canaries_alone_and_changes_the_layout() -> None:
    asked = {c for c in (*WORLD.runnable, *WORLD.excluded) if "fp8_kv" in c.features}
    assert asked
    assert all(c.checkpoint.canary for c in asked)
    runnable = [c for c in WORLD.runnable if "fp8_kv" in c.features]
    assert runnable
    assert {make_plan(MATRIX, c).settings["kv_layout"] for c in runnable} <= {"dsa_fp8_packed", "dsa_fp8_trtllm"}


def test_no_recommended_plan_listens_beyond_loopback_or_runs_foreign_code() -> None:
    for cell in WORLD.runnable:
        p = make_plan(MATRIX, cell)
        assert "0.0.0.0" not in p.arguments(), cell.id
        assert not {"--trust-remote-code", "--trust_remote_code"} & set(p.arguments()), cell.id
        assert not p.values("launcher").get("privileged"), cell.id


def test_the_exclusion_patch_is_planned_on_sm120_for_0_5_10_and_nowhere_else() -> None:
    patched = {(c.release.id, c.rig.sm) for c in WORLD.runnable if make_plan(MATRIX, c).patch_names}
    assert patched == {("sglang_0_5_10_post1", 120)}


def test_indexcache_is_asked_for_wherever_the_feature_is_named() -> None:
    for cell in WORLD.runnable:
        p = make_plan(MATRIX, cell)
        asked = "index_topk_pattern" in " ".join(p.arguments()) or "index_topk_pattern" in p.values("config")
        assert asked == ("indexcache" in cell.features), cell.id


def test_mtp_is_asked_for_wherever_the_feature_is_named() -> None:
    flags = {"--speculative-algorithm", "--speculative-config", "--spec-type"}
    for cell in WORLD.runnable:
        p = make_plan(MATRIX, cell)
        asked = bool(flags & set(p.arguments())) or "speculative_config" in p.values("serve_config")
        assert asked == ("mtp" in cell.features), cell.id
