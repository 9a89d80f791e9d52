"""Handwritten boundaries against the facts that they name: agreeing, too wide, too narrow, about another engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from matrix.facts.lint import CHECKS, find_disagreements, lint_facts
from matrix.facts.model import load_facts
from matrix.model import Release
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix

FACTS = load_facts()
MATRIX = load_matrix()
SPARSE = "sglang_sm120_sparse_mla"


def said(name: str, *, whole: bool = True, **when: Any) -> list[str]:
    return list(find_disagreements(name, when, FACTS, whole=whole))


def test_today_s_boundaries_are_what_the_wheels_say() -> None:
    assert lint_facts(MATRIX) == []


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        (SPARSE, ">=0.5.17", None),
        (f"not {SPARSE}", "<0.5.17", None),
        (SPARSE, ">=0.5.16", "0.5.16 lies in the range, and sglang_sm120_sparse_mla does not hold there"),
        (SPARSE, ">=0.5.23", "0.5.17, 0.5.18, 0.5.19, ... is left out of the range, and sglang_sm120_sparse_mla holds"),
        (f"not {SPARSE}", "<0.5.23", "0.5.17, 0.5.18, 0.5.19, ... lies in the range"),
    ],
)
def test_a_range_is_exactly_the_releases_in_which_the_fact_holds(name: str, version: str, message: str | None) -> None:
    found = said(name, engine="sglang", version=version)
    assert (not found) if message is None else (len(found) == 1 and found[0].startswith(message)), found


def test_the_rule_of_0_5_23_that_was_wrong_by_its_own_wheel_is_told() -> None:
    """The rule said that GLM-5 does not run on SM120 between 0.5.13 and 0.5.23."""
    found = said(f"not {SPARSE}", engine="sglang", version=">=0.5.13,<0.5.23", sm=120)
    assert any("0.5.17" in text and "flashinfer_sparse_mla" in text for text in found)


def test_a_known_failure_may_be_about_fewer_releases_and_not_about_others() -> None:
    assert said("vllm_pattern_over_indexer_weights", engine="vllm", version="==0.33.0")
    assert not said("vllm_pattern_over_indexer_weights", whole=False, engine="vllm", version="==0.33.0")
    assert said("vllm_pattern_over_indexer_weights", whole=False, engine="vllm", version=">=0.26")


def test_a_release_by_name_must_have_the_fact() -> None:
    assert not said(SPARSE, release="sglang_0_5_17")
    assert "does not hold in sglang_0_5_10_post1" in said(SPARSE, release=["sglang_0_5_17", "sglang_0_5_10_post1"])[0]
    assert "holds in sglang_0_5_17" in said(f"not {SPARSE}", release="sglang_0_5_17")[0]


def test_a_fact_that_does_not_exist_or_is_of_another_engine_is_told() -> None:
    assert "did you mean 'sglang_sm120_sparse_mla'" in said("sglang_sm120_sparse", engine="sglang")[0]
    assert said(SPARSE, engine="vllm", version=">=0.33") == [f"{SPARSE} is about sglang, the entry about vllm"]


def with_release(name: str, **changes: Any) -> Matrix:
    release: Release = replace(MATRIX.releases[name], **changes)
    return replace(MATRIX, releases={**MATRIX.releases, name: release})


def test_dsa_sms_are_the_gpus_that_the_wheel_has_kernels_for() -> None:
    for name, sms in (("sglang_0_5_17", (90, 100)), ("sglang_0_5_10_post1", (90, 100, 120)), ("vllm_0_33_0", (90,))):
        found = [p for p in lint_facts(with_release(name, dsa_sms=sms)) if p.where == "dsa_sms"]
        assert found and all(p.file.endswith(f"{name}.yaml") for p in found), name


def test_a_feature_of_a_release_is_what_its_wheel_reads() -> None:
    found = lint_facts(with_release("vllm_0_16_0", features={"indexcache": True}))
    assert [(p.where, "nothing reads index_topk_pattern" in p.message) for p in found] == [
        ("features.indexcache", True)
    ]


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("named: sglang_sm120_sparse_mla", "named: not sglang_sm120_sparse_mla", "sm12x_takes_one_backend.fact"),
        ('version: ">=0.26,<0.30", fork', 'version: ">=0.25,<0.30", fork', "sm12x_backend_without_short_prefill.fact"),
        ('vllm, version: "<0.21", reads: []', 'vllm, version: "<0.22", reads: []', "config_keys.4"),
    ],
)
def test_a_check_of_one_s_own_line_is_held_against_its_fact(old: str, new: str, where: str, tmp_path: Path) -> None:
    text = CHECKS.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "checks.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    assert where in {p.where for p in lint_facts(MATRIX, tmp_path / "checks.yaml")}


def test_a_boundary_without_a_fact_is_told_where_the_releases_were_read() -> None:
    rules = tuple(replace(r, value=replace(r.value, fact="")) for r in MATRIX.rules)
    unnamed = {p.where for p in lint_facts(replace(MATRIX, rules=rules)) if "names no fact" in p.message}
    assert "vllm_0_26_0_on_sm120.fact" in unnamed
    assert "trtllm_nvfp4_mtp.fact" in unnamed, "1.3.0rc3 was read"
    assert "sglang_fork_checkpoint.fact" not in unnamed, "a release by name is no boundary"
