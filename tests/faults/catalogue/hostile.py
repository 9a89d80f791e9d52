"""The proxy's share of `tests.faults.hostile`: what a real engine said, in bytes that no engine should send."""

from __future__ import annotations

from collections.abc import Mapping

from tests.faults.catalogue.fault import Fault
from tests.faults.hostile import CHUNK_SIZES, HOSTILE, READ

FAULTS: Mapping[str, Fault] = {
    **{n: Fault(family="hostile", does=h.does, kills=h.kills, payload=h.payload) for n, h in HOSTILE.items()},
    **{
        n: Fault(
            family="hostile", does=f"every chunk says that its size is {size.decode()}", kills=READ, chunk_size=size
        )
        for n, size in CHUNK_SIZES.items()
    },
}
