"""Metrics, units and conditions of published tables are a closed vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.checkout import CHECKOUT
from matrix.yaml.claim_words import CONDITIONS, METRICS, UNITS
from matrix.yaml.load import load_matrix
from tests.matrix.world import write
from tests.matrix.yaml.test_load import problems

GOOD = (
    "{metric: mean_ttft, value: 183, high: 190, unit: ms, conditions: {concurrency: 1, input_tokens: 2048, mtp: false}}"
)
CLAIM = """
id: seen
title: A table
when: {engine: toy}
source: test
measurements:
  - {metric: disk, value: 1, unit: GB, conditions: {}}
  - %s
"""
WRONG = {
    ("mean_ttft", "mean_ttfd"): ("metric", "no metric is 'mean_ttfd'; did you mean 'mean_ttft'?"),
    ("mean_ttft", "output_throughput"): ("unit", "output_throughput is a speed, and no unit of it is 'ms'; valid:"),
    ("unit: ms", "unit: msec"): ("unit", "mean_ttft is a time, and no unit of it is 'msec'; did you mean 'ms'?"),
    ("unit: ms", "unit: GiB"): ("unit", "mean_ttft is a time, and no unit of it is 'GiB'; valid: min, ms, s"),
    ("mean_ttft, value: 183, high: 190, unit: ms", "weights_total, value: 1, unit: Gib"): (
        "unit",
        "weights_total is a size, and no unit of it is 'Gib'; did you mean 'GiB'?",
    ),
    ("concurrency", "concurency"): ("conditions.concurency", "no condition is 'concurency'; did you mean 'concurr"),
    ("concurrency: 1", "concurrency: one"): ("conditions.concurrency", "expected a whole number from 1 on, got 'one'"),
    ("concurrency: 1", "concurrency: 0"): ("conditions.concurrency", "expected a whole number from 1 on, got 0"),
    ("concurrency: 1", "concurrency: true"): ("conditions.concurrency", "expected a whole number from 1 on, got True"),
    ("2048", "2048.5"): ("conditions.input_tokens", "expected a whole number from 1 on, got 2048.5"),
    ("mtp: false", "mtp: maybe"): ("conditions.mtp", "expected true or false, got 'maybe'"),
    ("mtp: false", "mpt: false"): ("conditions.mpt", "no condition is 'mpt'; did you mean 'mtp'?"),
    ("mtp: false", "gpu_memory_utilization: 90"): ("conditions.gpu_memory_utilization", "expected a share above 0"),
    ("mtp: false", "dataset: ''"): ("conditions.dataset", "expected a word, got ''"),
    ("value: 183", "value: -1"): ("value", "expected a number from 0 on, got -1"),
    ("high: 190", "high: 183"): ("high", "expected more than the low end, 183, got 183"),
}


@pytest.mark.parametrize("change", WRONG, ids=" to ".join)
def test_a_word_that_nothing_is_comparable_with_is_told_at_load(tmp_path: Path, change: tuple[str, str]) -> None:
    where, said = WRONG[change]
    assert change[0] in GOOD
    [found] = problems(write(tmp_path, {"claims/seen.yaml": CLAIM % GOOD.replace(*change)}))
    assert found.startswith(f"claims/seen.yaml:7 measurements.1.{where}: {said}")


def test_a_sound_claim_loads(tmp_path: Path) -> None:
    assert load_matrix(write(tmp_path, {"claims/seen.yaml": CLAIM % GOOD})).claims


def test_every_word_is_explained_where_a_claim_is_added() -> None:
    page = (CHECKOUT / "docs/how-to/add-a-claim.md").read_text(encoding="utf-8")
    words = {*METRICS, *CONDITIONS, *(unit for units in UNITS.values() for unit in units)}
    assert [word for word in sorted(words) if f"`{word}`" not in page] == []
    assert set(METRICS.values()) == UNITS.keys()
