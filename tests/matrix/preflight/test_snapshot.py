"""The committed snapshots: compact, readable, and saying what their wheels say."""

from __future__ import annotations

import pytest

from matrix.preflight.snapshot import (
    SNAPSHOTS,
    format_snapshot,
    list_releases,
    parse_snapshot,
    release_id,
    snapshot_for,
)
from tests.pace import within_cpu_s

MAX_BYTES = 60_000  # of a release's own file: a person should still be able to read a diff of one
MAX_SHARED_BYTES = 1_500_000  # of all wheels' blocks: what fifty releases have in common and what they differ in
MAX_CHECKOUT_BYTES = 100_000  # of TensorRT-LLM's: one release read, half of it the keys of its YAML
FLAGS = {
    "sglang_0_5_10_post1": 355,
    "sglang_0_5_17": 475,
    "sglang_0_5_23": 532,
    "vllm_0_16_0": 214,
    "vllm_0_26_0": 276,
    "vllm_0_33_0": 322,
}


@pytest.mark.parametrize("release", list_releases())
def test_a_snapshot_is_compact_and_survives_a_round_trip(release: str) -> None:
    path = SNAPSHOTS / f"{release}.json"
    snapshot = snapshot_for(release)
    assert snapshot is not None
    assert path.stat().st_size < MAX_BYTES
    assert snapshot.release == release == release_id(snapshot.engine, snapshot.version)
    assert parse_snapshot(format_snapshot(snapshot)) == snapshot


@pytest.mark.parametrize(("release", "count"), FLAGS.items(), ids=FLAGS)
def test_every_flag_of_the_wheel_is_there_and_glm_is_registered(release: str, count: int) -> None:
    snapshot = snapshot_for(release)
    assert snapshot is not None
    assert len(snapshot.flags) == count
    assert len(snapshot.options) == sum(len(f.options) for f in snapshot.flags), "an option string is registered once"
    assert "GlmMoeDsaForCausalLM" in snapshot.architectures
    assert len(snapshot.sha256) == 64
    assert "glm47" in snapshot.parsers["tool_call"]
    assert "glm45" in snapshot.parsers["reasoning"]
    assert snapshot.complete
    assert not [f.name for f in snapshot.flags if f.required and f.name != "--model-path"]


def test_the_backend_lists_tell_upstream_from_the_forks() -> None:
    values = {r: s.backends() for r in FLAGS if (s := snapshot_for(r))}
    assert "b12x" not in values["sglang_0_5_23"]["moe_runner_backend"]
    assert "b12x" in values["vllm_0_33_0"]["moe_backend"]
    assert "FLASHINFER_MLA_SPARSE_SM120" in values["vllm_0_33_0"]["attention_backend"]
    assert "FLASHINFER_MLA_SPARSE_SM120" not in values["vllm_0_16_0"]["attention_backend"]
    assert "trtllm" in values["sglang_0_5_10_post1"]["nsa_prefill_backend"]
    assert "dsa_prefill_backend" in values["sglang_0_5_23"]


def test_an_unknown_release_has_no_snapshot_and_a_fork_has_its_upstreams() -> None:
    assert snapshot_for("sglang_0_0_0") is None
    fork = snapshot_for("sglang_fork_003")
    assert fork is not None
    assert (fork.fork, fork.complete, fork.sha256) == (True, False, "")


def test_what_releases_share_stays_small() -> None:
    sizes = {path.stem: path.stat().st_size for path in (SNAPSHOTS / "shared").glob("*.blocks")}
    assert sizes.pop("trtllm") < MAX_CHECKOUT_BYTES
    assert sum(sizes.values()) < MAX_SHARED_BYTES


def test_every_release_that_the_project_promises_is_there() -> None:
    held = set(list_releases())
    vllm = "16.0 17.0 17.1 18.0 18.1 19.0 19.1 20.0 20.1 20.2 21.0 22.0 22.1 23.0 24.0 25.0 25.1 26.0 27.0 27.1 28.0"
    newer = "29.0 30.0 31.0 32.0 33.0"
    assert {f"vllm_0_{v.replace('.', '_')}" for v in f"{vllm} {newer}".split()} <= held
    posts = {"9", "10", "10_post1", "12_post1", "13_post1", "15_post1"}
    assert {f"sglang_0_5_{v}" for v in {*posts, *map(str, range(11, 24))}} <= held


def test_reading_every_snapshot_takes_a_moment() -> None:
    """2 s are ten times what it takes alone; a verdict reads one."""
    with within_cpu_s(2):
        for release in list_releases():
            parse_snapshot((SNAPSHOTS / f"{release}.json").read_text(encoding="utf-8"))
