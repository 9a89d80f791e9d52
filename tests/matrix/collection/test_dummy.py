"""Runs with weights that the engine makes up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from matrix.collection.dummy import FIRST_TOKEN, change_plan, pytest_collection_modifyitems
from matrix.planning.owed import read_owed
from tests.matrix.scheduling.world import BIG, plan_of


def config(chosen: bool, gone: list[Any] | None = None) -> pytest.Config:
    hook = SimpleNamespace(pytest_deselected=lambda items: gone.extend(items) if gone is not None else None)
    return cast(pytest.Config, SimpleNamespace(getoption=lambda _: chosen, hook=hook))


def test_the_launch_is_another_one_than_the_cells() -> None:
    plan = plan_of(BIG)
    assert change_plan(config(False), plan) is plan
    assert change_plan(config(True), plan).fingerprint != plan.fingerprint
    with pytest.raises(pytest.UsageError, match="is not known to start without weights"):
        change_plan(config(True), plan_of("cpu.llamacpp_2026_10_11549.canary_bf16.baseline"))


def test_the_first_token_is_asked_alone() -> None:
    assert FIRST_TOKEN in read_owed().tests
    items = [SimpleNamespace(originalname=n) for n in ("test_finds_the_needle", FIRST_TOKEN, "test_calls")]
    for chosen, left in ((False, 3), (True, 1)):
        gone: list[Any] = []
        kept: list[Any] = [cast(Any, _Item(i.originalname)) for i in items]
        pytest_collection_modifyitems(config(chosen, gone), kept)
        assert (len(kept), len(gone)) == (left, 3 - left)
    assert kept[0].originalname == FIRST_TOKEN


class _Item:
    def __init__(self, originalname: str) -> None:
        self.originalname = originalname
