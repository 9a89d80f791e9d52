"""The stub's share of `tests.faults.hostile`: replies that no parser should survive, or no check should compute
with."""

from __future__ import annotations

from collections.abc import Mapping

from tests.faults.hostile import CHUNK_SIZES, HOSTILE, READ
from tests.faults.stub.defect import Defect, always

DEFECTS: Mapping[str, Defect] = {
    **{n: Defect(family="hostile", kills=h.kills, damage=always(payload=h.payload)) for n, h in HOSTILE.items()},
    **{n: Defect(family="hostile", kills=READ, damage=always(chunk_size=size)) for n, size in CHUNK_SIZES.items()},
}
