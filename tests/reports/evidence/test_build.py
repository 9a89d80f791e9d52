"""The fast reader takes what the explaining reader takes, to the same record, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.yaml.document import Document
from matrix.yaml.structure import structure_data
from reports.evidence.build import build_record
from reports.evidence.canonical import read_canonical_lines
from reports.evidence.files import format_line
from reports.evidence.types import KINDS, Found, dump_record
from tests.reports import world

LINES = [(name, d) for r in world.seal(world.paired()) if (d := dump_record(r)) for name in [d.pop("kind")]]
ODD: list[Any] = [
    None,
    True,
    1,
    1.5,
    "",
    "x",
    [],
    [1],
    {},
    {"a": 1},
    {1: "a"},
    "2026-01-01",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00:00+14:00",
    float("nan"),
]


@pytest.mark.parametrize("kind", sorted({name for name, _ in LINES}))
def test_both_readers_agree_on_every_field_whatever_stands_there(kind: str) -> None:
    of, data = KINDS[kind], next(d for name, d in LINES if name == kind)
    for name in of.__dataclass_fields__:
        for value in ODD:
            said = {**data, name: value}
            slow = structure_data(of, Document(kind), said, (), [])
            fast = build_record(of, said)
            assert fast is None or repr(fast) == repr(slow), f"{name}={value!r}"
    assert build_record(of, data) == structure_data(of, Document(kind), data, (), [])


def test_an_unknown_or_missing_field_is_left_to_the_reader_that_explains() -> None:
    name, data = LINES[0]
    assert build_record(KINDS[name], {**data, "colour": 1}) is None
    assert build_record(KINDS[name], {"t": data["t"]}) is None


def test_records_share_the_texts_that_thousands_of_them_repeat() -> None:
    """A board of 5,000 cells has 670,000 records; texts of their own were two thirds of its memory."""
    name, data = next((n, d) for n, d in LINES if n == "finding")
    lines = format_line({**data, "data": {"prompt tokens": 1}}) * 2
    one, other = (build_record(KINDS[name], value) for value in read_canonical_lines(lines) or ())
    assert isinstance(one, Found) and isinstance(other, Found) and one is not other
    for field in ("run", "cell", "fingerprint", "nodeid", "check", "expected"):
        assert getattr(one, field) is getattr(other, field), field
    assert next(iter(one.data)) is next(iter(other.data))
    assert one.more is other.more and not hasattr(one, "__dict__")
