"""The page about the world names what is on the axes, and typical users are told what decides their case."""

from __future__ import annotations

from typing import Any

import pytest

from ci.reference.world import KINDS, answer_user, make_page, read_world
from matrix.errors import ConfigError
from matrix.yaml.load import load_matrix

WORLD = read_world()


@pytest.mark.parametrize("one", WORLD["asks"], ids=lambda one: one["ask"])
def test_a_typical_user_is_told_what_decides(one: dict[str, Any]) -> None:
    assert answer_user(load_matrix(), one["cell"])[0] == one["rule"]


def test_every_row_has_something_on_the_axes_or_says_why_not() -> None:
    assert all(any(row.get(key) for key in (*KINDS, "left_out")) for row in WORLD["rows"])
    assert len(WORLD["asks"]) >= 10


def test_a_name_that_is_not_there_is_told_with_the_nearest() -> None:
    wrong = {"rows": [{"what": "x", "rigs": ["sm103x9"]}], "asks": []}
    with pytest.raises(ConfigError, match="did you mean 'sm103x8'"):
        make_page(load_matrix(), wrong)
    with pytest.raises(ConfigError, match="no combination"):
        answer_user(load_matrix(), "sm103x8.nothing.canary_bf16.baseline")
