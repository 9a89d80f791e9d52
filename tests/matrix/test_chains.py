"""`glm-matrix why-not` as a person reads it: every conclusion down to facts that can be looked up."""

from __future__ import annotations

import re

import pytest

from matrix.__main__ import main
from matrix.planning.expand import expand_matrix, list_exclusions, list_published_exclusions
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
SEED_004 = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4."
CHAINS = [
    (
        SEED_004 + "indexcache",
        "nsa_exclusion_makes_indexcache_inert",
        ["sglang/issues/26087", "use_nsa = False", "builds no indexer", "deepseek_v2.py:1180-1219", "44,928 bytes"],
    ),
    (
        SEED_004 + "indexcache_mtp",
        "seed004_indexcache_or_mtp",
        ["pages of 64, bf16 KV", "DeepseekV3ForCausalLMNextN", "memory_pool.py:1855", "Upstream allows both"],
    ),
    (
        "sm120x8.sglang_0_5_10_post1.glm5_nvfp4_lukealonso.indexcache",
        "explicit_dense_backend_makes_indexcache_inert",
        ["skips the automatic choice of nsa", "get_indexer_metadata", "nsa_indexer.py:1050"],
    ),
    (
        "sm120x4.sglang_0_5_23.glm51_478b_nvfp4.indexcache",
        "published_override_of_the_pattern_comes_too_late",
        ["fills indexer_types", "arrives after indexer_types was made", "0 of 78 layers share"],
    ),
]


@pytest.mark.parametrize(("name", "rule", "facts"), CHAINS, ids=[rule for _, rule, _ in CHAINS])
def test_the_chain_is_printed_with_its_facts_in_order(
    name: str, rule: str, facts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["why-not", name]) == 0
    own = capsys.readouterr().out.partition(f"rule {rule} at rules.yaml:")[2].partition("\n")[2]
    places = [own.find(fact) for fact in facts]
    assert -1 not in places and places == sorted(places), dict(zip(facts, places, strict=True))


@pytest.mark.parametrize("name", [name for name, _, _ in CHAINS])
def test_every_printed_step_is_numbered_and_names_its_source(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["why-not", name])
    steps = [line.strip() for line in capsys.readouterr().out.splitlines() if re.match(r" {5}\d+\.\d+ ", line)]
    assert len(steps) >= 3
    assert all(re.fullmatch(r"\d+\.\d+ .+\. \[.+\]", step) for step in steps), steps


def test_what_only_the_published_form_does_wrong_excludes_nothing() -> None:
    cell = next(c for c in expand_matrix(MATRIX).runnable if c.id == CHAINS[-1][0])
    assert list_exclusions(MATRIX, cell) == []
    assert [e.rule for e in list_published_exclusions(MATRIX, cell)] == [
        "published_override_of_the_pattern_comes_too_late"
    ]


def test_a_feature_that_cannot_take_effect_is_an_invalid_combination() -> None:
    world = {c.id: e for c, e in expand_matrix(MATRIX).excluded.items()}
    assert {world[name].status for name, _, _ in CHAINS[:3]} == {"INVALID_COMBO"}
