from __future__ import annotations

from pathlib import Path

from matrix.planning.expand import expand, why_not
from matrix.yaml.load import load
from tests.matrix.world import FILES, write


def test_every_combination_is_runnable_or_excluded_and_none_is_lost(tmp_path: Path) -> None:
    matrix = load(write(tmp_path))
    world = expand(matrix)
    combinations = len(matrix.rigs) * len(matrix.releases) * len(matrix.checkpoints) * 2 ** len(matrix.features)
    assert len(world) == combinations
    assert not set(world.runnable) & set(world.excluded)


def test_each_exclusion_carries_its_rule(tmp_path: Path) -> None:
    world = expand(load(write(tmp_path)))
    why = {c.id: e for c, e in world.excluded.items()}
    assert why["cpu.toy_1.small.mtp"].rule == "no_mtp_on_cpu"
    assert why["cpu.toy_1.small.mtp"].where == "rules.yaml:2"
    assert why["sm120x3.toy_1.small.baseline"].rule == "tensor_parallel_divides_heads"
    assert why["sm120x4.toy_2.small.indexcache"].rule == "feature_in_release"


def test_why_not_gives_every_reason_not_only_the_first(tmp_path: Path) -> None:
    matrix = load(write(tmp_path))
    cell = next(c for c in expand(matrix).excluded if c.id == "cpu.toy_2.small.indexcache_mtp")
    assert [e.rule for e in why_not(matrix, cell)] == ["no_mtp_on_cpu", "feature_in_release"]


def test_weights_that_do_not_fit_are_excluded_with_the_sum(tmp_path: Path) -> None:
    text = FILES["axes/checkpoints/small.yaml"].replace("size_bytes: 1000", "size_bytes: 99_000_000_000")
    world = expand(load(write(tmp_path, {"axes/checkpoints/small.yaml": text})))
    why = next(e for c, e in world.excluded.items() if c.id == "sm120x1.toy_1.small.baseline")
    assert why.rule == "does_not_fit" and "weights 92.2 GiB per rank" in why.reason
    assert "sm120x4.toy_1.small.baseline" in {c.id for c in world.runnable}


def test_a_format_names_the_gpus_that_can_load_it(tmp_path: Path) -> None:
    text = FILES["axes/checkpoints/small.yaml"].replace("format: bf16", "format: fp8")
    world = expand(load(write(tmp_path, {"axes/checkpoints/small.yaml": text})))
    why = next(e for c, e in world.excluded.items() if c.id == "sm120x4.toy_1.small.baseline")
    assert (why.status, why.reason) == ("INVALID_HW", "toy_1 loads fp8 weights on sm90, not on sm120")
