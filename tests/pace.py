"""How much of the processor a test may take: a limit that tells what does not end from what is slow.

One place, because mutmut sends every call of the tested code through a wrapper, which learns from it: what takes 1 s
took up to 12 s there, and `make mutants` ended before it had made a change.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

BY_MUTMUT = "mutmut" in sys.modules  # its wrappers import it
WRAPPED = 20  # times as long: what does not end fails there, too


@contextmanager
def within_cpu_s(limit_s: float) -> Iterator[None]:
    """Fail where what is done inside takes longer, in seconds of this process."""
    allowed_s, began = limit_s * (WRAPPED if BY_MUTMUT else 1), time.process_time()
    yield
    assert (took_s := time.process_time() - began) < allowed_s, (
        f"took {took_s:.1f} s, at most {allowed_s:g} s are allowed"
    )
