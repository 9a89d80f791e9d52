"""A rig's first gate begins with what is known best, holds only what can be green there, and fits one night."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError
from matrix.judging.proof.judge import judge_proofs
from matrix.judging.requested import Requested
from matrix.planning.expand import expand_matrix
from matrix.planning.kv import KvShape
from matrix.planning.plan import make_plan
from matrix.preflight.plans import judge_plan
from matrix.recommending.ran import read_ran
from matrix.yaml.load import load_matrix
from reports.gate.gate import judge_evidence
from reports.gate.policy import expect_cells, load_policy
from reports.gate.starter import NIGHT_S, find_first, make_starter, recommend_first, render_starter
from tests.reports import origin
from tests.reports.world import NOW, seal

MATRIX = load_matrix()
STARTERS = sorted((CHECKOUT / "ci/gates/starter").glob("*.yaml"))
PUBLISHED = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline"
SM120X4 = make_starter(MATRIX, recommend_first(MATRIX, MATRIX.rigs["sm120x4"], {}))
VLLM = find_first(MATRIX, MATRIX.rigs["sm90x1"], {}, "sm90x1.vllm_0_33_0.canary_bf16.baseline")


def test_the_published_cell_comes_first_and_then_its_features() -> None:
    assert SM120X4.cells[0].id == PUBLISHED
    features = [c.features for c in SM120X4.cells]
    assert features[0] == frozenset() and {"mtp"} in features
    assert [len(f) for f in features] == sorted(len(f) for f in features)
    assert 0 < SM120X4.plan.makespan_s <= NIGHT_S and SM120X4.gpu_hours > 0


def test_every_rig_that_launches_something_has_one_that_the_gate_reads_and_that_can_be_green() -> None:
    assert {p.stem for p in STARTERS} == {
        rig.id for rig in MATRIX.rigs.values() if rig.gpus and not rig.attach_only and rig.id != "sm120x6"
    }
    for path in STARTERS:
        policy, doc = load_policy(path)
        cells = expect_cells(policy, doc, MATRIX)
        assert {c.rig.id for c in cells if c.rig} == {path.stem}, path
        for cell in cells:
            assert all(MATRIX.features[f].provable for f in cell.features), cell.id
            lethal = [k for k in cell.known_failures.values() if k.expect == "always" and k.fails.at != "test"]
            assert lethal == [], cell.id


@pytest.mark.parametrize("rig", ["sm120x4", "sm103x8", "sm90x8"])
def test_a_night_on_exactly_that_rig_in_which_all_passed_is_green(rig: str) -> None:
    """Rigs of canaries need what their predictions compare, which these records lack."""
    policy, doc = load_policy(CHECKOUT / f"ci/gates/starter/{rig}.yaml")
    expected = expect_cells(policy, doc, MATRIX)
    ids = {c.id for c in expected}
    cells = [c for c in expand_matrix(MATRIX).runnable if c.id in ids]
    fields = origin.green(MATRIX, cells, whole=True)
    judge = partial(judge_evidence, policy, now=NOW)
    verdict = judge(records=seal(fields), expected=expected)
    assert not verdict.reasons, verdict.reasons
    other = [c for c in expand_matrix(MATRIX).runnable if c.rig.id == "sm90x8"][:1]
    assert not judge(records=seal(origin.green(MATRIX, other, whole=True)), expected=expected).green


def test_what_cannot_be_green_is_left_out_with_its_reason() -> None:
    starter = make_starter(MATRIX, VLLM)
    kept = {f for c in starter.cells for f in c.features}
    assert kept and not kept & {"indexcache", "no_overlap"}
    assert any("vllm_0_33_pattern_over_indexer_weights" in why for why in starter.left_out)
    assert any("no_overlap" in why for why in starter.left_out)
    text = render_starter(starter)
    assert "# Left out, known failure vllm_0_33_pattern_over_indexer_weights at launch: sm90x1.vllm" in text


def test_a_short_night_keeps_the_first_and_says_what_is_left_out() -> None:
    one = make_starter(MATRIX, VLLM, budget_s=300)
    whole = make_starter(MATRIX, VLLM)
    assert one.cells[0] == VLLM.cell and one.plan.makespan_s <= 300
    assert set(one.cells) < set(whole.cells) and "more than 5 min with it" in one.left_out
    with pytest.raises(ConfigError, match="alone takes about"):
        make_starter(MATRIX, SM120X4.first, budget_s=60)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(render_starter(SM120X4))
    policy, doc = load_policy(path)
    assert [c.id for c in expect_cells(policy, doc, MATRIX)] == [c.id for c in SM120X4.cells]
    assert policy.depth == "quick" and not policy.unproven and not policy.accepted and not policy.not_run


def test_the_effects_of_a_first_cell_with_features_are_compared_with_the_cell_without(tmp_path: Path) -> None:
    first = find_first(MATRIX, MATRIX.rigs["sm120x4"], {}, PUBLISHED.replace("baseline", "mtp"))
    starter = make_starter(MATRIX, first)
    assert [c.id for c in starter.cells][:2] == [first.cell.id, PUBLISHED]


@pytest.mark.parametrize(("rig", "told"), [("sm121x2", "glm-matrix probe"), ("sm120x6", "recommend --rig sm120x6")])
def test_a_rig_that_launches_nothing_is_told_what_to_do(rig: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        recommend_first(MATRIX, MATRIX.rigs[rig], read_ran())


def test_a_cell_of_another_rig_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no runnable cell of sm120x4"):
        find_first(MATRIX, MATRIX.rigs["sm120x4"], {}, PUBLISHED.replace("sm120x4", "sm120x8"))


def test_an_image_that_has_a_tag_alone_is_to_be_recorded_first() -> None:
    rig = MATRIX.rigs["sm100x4"]
    text = render_starter(make_starter(MATRIX, recommend_first(MATRIX, rig, read_ran())))
    assert "# No digest of this image is known here." in text and "allow_tags" not in text
    assert "glm-matrix image pin nvcr.io/nvidia/tensorrt-llm/release:" in text


def test_a_feature_that_is_called_unprovable_is_never_proven() -> None:
    unprovable = {name for name, feature in MATRIX.features.items() if not feature.provable}
    assert unprovable == {"no_overlap", "prefill_context_parallel"}
    shape = KvShape(layers=4, kv_lora_rank=512, rope_dims=64, index_head_dims=128)
    wanted = Requested(dialect="vllm", shape=shape, layout="dsa_bf16", features=frozenset(unprovable))
    outcomes = {p.feature: p.outcome for p in judge_proofs(wanted, ())}
    assert {outcomes[f] for f in unprovable} == {"unproven"}


def test_the_parser_of_each_release_takes_what_is_required() -> None:
    for cell in SM120X4.cells:
        assert judge_plan(make_plan(MATRIX, cell)).verdict != "reject"
