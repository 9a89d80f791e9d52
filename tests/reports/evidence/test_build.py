"""The fast reader takes what the explaining reader takes, to the same record, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.yaml.structure import structure_data
from matrix.yaml.yamltext import Document
from reports.evidence.build import build_record
from reports.evidence.types import KINDS, dump_record
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
