"""Reported upgrades are told, their controls are not; and what holds of every pair of releases."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from matrix.checking.finding import CheckFinding
from matrix.checking.judge import CheckRequest
from matrix.checking.launchers import Command
from matrix.checking.releases import list_versions, parse_release
from matrix.checking.rigs import parse_rig
from matrix.checking.sources import read_words
from matrix.checking.variables import words_of
from matrix.preflight.snapshot import Snapshot
from matrix.upgrading.compare import compare_sides
from matrix.upgrading.defaults import DefaultReach, read_reach
from matrix.upgrading.findings import compare_findings, effect_of
from matrix.upgrading.gpu_code import compare_kernels
from matrix.upgrading.news import News, ReleaseComparison, write_headline
from matrix.upgrading.sides import Side, look_at_release

P78 = "FFSFSSSFSSFFFSSSFFFSFSSSSSSFFSFFSFFSSFFFFFFSFFFFFSFFSSSSSSFSFFFSFSSSFSFFSFFSSS"
UPGRADES = yaml.safe_load((Path(__file__).parent / "upgrades.yaml").read_text("utf-8"))
LINES = {
    "sglang": ["--model-path", "zai-org/GLM-5-FP8", "--tp-size", "8", "--cuda-graph-max-bs", "16"],
    "vllm": ["zai-org/GLM-5-FP8", "-tp", "8", "--swap-space", "4"],
}
INVERSE = {"begins": "ends", "ends": "begins", "changes": "changes"}
HEADS = {"stops": "WILL NOT START: ", "wrong": "WILL BE WRONG: ", "risky": "RISKY: ", "safe": "SAFE: "}


def compare_case(case: Mapping[str, Any]) -> ReleaseComparison:
    [command], _ = read_words(shlex.split(case["line"].replace("{P78}", P78)))
    before = parse_release(case["from"])
    after = parse_release(f"{before.engine}=={case['to']}")
    asked = CheckRequest(host=parse_rig(case["rig"]), installed=case.get("installed", {}))
    return compare_sides(look_at_release(command, asked, before), look_at_release(command, asked, after))


@pytest.mark.parametrize("case", UPGRADES, ids=[case["id"] for case in UPGRADES])
def test_a_reported_upgrade_is_told(case: Mapping[str, Any]) -> None:
    found = compare_case(case)
    told = [n for n in found.news if n.applies]
    for key, danger in case.get("told", {}).items():
        assert danger in {n.danger for n in told if n.key.startswith(key)}, [n.key for n in told]
    for key in case.get("quiet", ()):
        assert not [n.key for n in told if n.key.startswith(key)]
    assert found.verdict == case.get("verdict", found.verdict), write_headline(found)
    assert write_headline(found).startswith(HEADS[found.verdict])
    assert case.get("says", "") in " ".join(f"{n.cause} {n.remedy}" for n in told)


@cache
def side_of(release: str, rig: str = "sm90x8") -> Side:
    asked = parse_release(release)
    command = Command(engine=asked.engine, entry=asked.engine, argv=words_of(LINES[asked.engine]))
    return look_at_release(command, CheckRequest(host=parse_rig(rig)), asked)


def keys(news: tuple[News, ...], *, turned: bool = False) -> set[tuple[str, str, str]]:
    return {(n.part, n.key, INVERSE[n.way] if turned else n.way) for n in news}


PAIRS = [
    (one, other)
    for engine in LINES
    for ids in [[name for _, name in list_versions(engine)]]
    for one, other in [*itertools.pairwise(ids), *((name, ids[-1]) for name in ids[:-2:4])]
]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=[f"{one}-{other.partition('_')[2]}" for one, other in PAIRS])
def test_what_is_gained_one_way_is_lost_the_other_way(one: str, other: str) -> None:
    up, down = compare_sides(side_of(one), side_of(other)), compare_sides(side_of(other), side_of(one))
    assert keys(up.news) == keys(down.news, turned=True)
    assert (up.direction, down.direction) == ("upgrade", "downgrade")
    for found, side in ((up, side_of(other)), (down, side_of(one))):  # the answer is what `check` says of that side
        stops = any(f.level == "wrong" and effect_of(f) == "stops" for f in side.findings)
        assert (found.verdict == "stops") is stops
        assert list(found.news) == sorted(found.news, key=lambda n: n.rank)
        assert write_headline(found)


@pytest.mark.parametrize("release", sorted({name for pair in PAIRS for name in pair}))
def test_the_same_release_changes_nothing(release: str) -> None:
    found = compare_sides(side_of(release), side_of(release))
    assert (found.news, found.verdict, found.exit_code) == ((), "same", 0)
    assert write_headline(found).startswith("NOTHING CHANGES")


def test_every_piece_of_news_says_what_decides_it() -> None:
    news = compare_sides(side_of("sglang_0_5_10_post1"), side_of("sglang_0_5_23")).news
    assert news
    for item in news:
        assert item.cause
        assert item.decided_by.kind in ("wheel", "run", "report", "arithmetic")
        assert item.decided_by.fact
        assert item.sources


def test_a_default_that_cannot_apply_is_ranked_last() -> None:
    news = compare_sides(side_of("sglang_0_5_10_post1"), side_of("sglang_0_5_23")).news
    tier = next(n for n in news if n.key == "--hicache-mem-layout")
    assert not tier.applies
    assert news.index(tier) > max(i for i, n in enumerate(news) if n.applies)


@pytest.mark.parametrize("reach", read_reach(), ids=lambda reach: reach.what.replace(" ", "_"))
def test_a_reach_is_about_options_and_facts_that_exist(reach: DefaultReach) -> None:
    sides = [side_of("sglang_0_5_23"), side_of("vllm_0_33_0"), side_of("sglang_0_5_10_post1"), side_of("vllm_0_16_0")]
    assert any(re.search(reach.flags, option) for side in sides for option in side.snapshot.options)
    assert set(reach.when) <= set(sides[0].facts) | {"draft_method"}
    assert reach.never != bool(reach.when)


def test_a_library_is_missed_where_nothing_else_holds_the_backend_of_the_line() -> None:
    new, old = side_of("sglang_0_5_23"), side_of("sglang_0_5_17")
    lost = {n.key: n for n in compare_kernels(new, old)}["libraries of sgl-flash-mla"]
    assert (lost.way, lost.level) == ("ends", "note")  # 0.5.17 has it in sglang-kernel
    bare = replace(old, snapshot=Snapshot(release="sglang_9", engine="sglang", version="9", source="sglang-9.whl"))
    lost = {n.key: n for n in compare_kernels(new, bare)}["libraries of sgl-flash-mla"]
    assert (lost.way, lost.level) == ("ends", "risky")
    assert "holds a backend that this line uses" in lost.consequence


def test_a_finding_that_gets_worse_is_told_once_and_its_reverse_ends() -> None:
    side = side_of("vllm_0_33_0")
    mild = CheckFinding(id="x", level="note", subject=("--x",), cause="It is so.")
    worse = replace(mild, level="wrong")
    old, new = (replace(side, findings=(finding,)) for finding in (mild, worse))
    [up], [down] = compare_findings(old, new), compare_findings(new, old)
    assert (up.way, up.danger, up.level) == ("changes", "stops", "wrong")
    assert (down.way, down.danger, down.level) == ("changes", "fixed", "note")


def test_a_key_that_nothing_reads_any_more_is_told() -> None:
    command = Command(engine="vllm", entry="vllm serve", argv=words_of(["/w", "-tp", "8"]))
    config = {"architectures": ["GlmMoeDsaForCausalLM"], "index_topk_freq": 4, "num_hidden_layers": 78}
    asked = CheckRequest(host=parse_rig("sm90x8"), config=config)
    found = compare_sides(
        *(look_at_release(command, asked, parse_release(r)) for r in ("vllm==0.33.0", "vllm==0.20.0"))
    )
    assert ("config key", "index_topk_freq", "ends") in keys(found.news)
