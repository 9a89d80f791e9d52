"""The committed references are what the oracle would be asked for, no more and no less. Asking it needs torch."""

from __future__ import annotations

import pytest

from lab.references import oracle
from lab.references.oracle import iterate_references, list_wanted, make_attention_config
from suites.measure.recordings import DENSE
from suites.measure.references import HALF, Key, read_references


class NobodyThere:
    def __init__(self, *_: object) -> None:
        raise AssertionError("the oracle was asked")


def test_nothing_is_missing_from_the_file_and_nothing_in_it_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "Oracle", NobodyThere)
    assert list(iterate_references(read_references())) == read_references()


def test_what_is_stale_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "Oracle", NobodyThere)
    stale = [{**record, "prompt_sha256": "0" * 64} for record in read_references()]
    with pytest.raises(AssertionError, match="the oracle was asked"):
        next(iterate_references(stale))


def test_every_launch_has_the_ways_that_must_not_pass_for_its_own() -> None:
    ways: dict[tuple[str, int], set[str]] = {}
    for key, (_, item) in list_wanted().items():
        if item.kind == "crowd":
            ways.setdefault((key.weights, key.index_topk), set()).add(key.way)
    assert {"FFFF", "FFSS", "FSFS", DENSE} == ways["canary_bf16", 2048] == ways["canary_bf16", 256] - {HALF}
    assert all({"FFFF", DENSE} <= each for each in ways.values()) and len(ways) > 3


def test_half_of_a_selection_is_asked_for_by_its_size() -> None:
    key = Key(weights="canary_bf16", index_topk=2048, way=HALF, item="")
    assert make_attention_config(key) == {"index_topk": 1024}
