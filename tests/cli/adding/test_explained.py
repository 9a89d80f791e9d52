"""Each flag of `add` says what its key means, which words it takes, and whether it must be given."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_type_hints

import pytest

from cli.adding.explained import explain_flag, read_comments
from cli.adding.kinds import KINDS


@dataclass(frozen=True)
class Part:
    at: int
    how: str = ""


@dataclass(frozen=True)
class Toy:
    """name: of nothing"""

    name: str  # whose 100 % it is
    kind: Literal["wheel", "run"]
    part: Part | None = None  # a part  # with a second remark
    plain: str = ""


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("name", "whose 100 %% it is; required"),
        ("kind", "text; one of wheel, run; required"),
        ("part", "a part  # with a second remark; keys: at, how"),
        ("plain", "text"),
    ],
)
def test_a_flag_is_explained_by_its_key(key: str, told: str) -> None:
    field, hints = next(f for f in fields(Toy) if f.name == key), get_type_hints(Toy, globals())
    assert explain_flag(Toy, field, hints[key], "text", required=True) == told
    assert "required" not in explain_flag(Toy, field, hints[key], "text", required=False)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_key_that_can_be_added_has_a_comment(kind: object) -> None:
    cls = kind.cls  # type: ignore[attr-defined]
    assert read_comments(cls).keys() >= {field.name for field in fields(cls)} - {"id"}
