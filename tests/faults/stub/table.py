"""All defects by name; tests/suites/test_defects.py holds each to the suite tests that it names.

A defect without a killer is a hole in the suites.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.faults.stub import (
    agents,
    arrivals,
    attention,
    beside,
    boots,
    clients,
    crowd,
    fields,
    hostile,
    identity,
    instructions,
    left,
    numbers,
    protocol,
    refusals,
    reported,
    reported_again,
    results,
    retold,
    reuse,
    serving,
    soak,
    surfaces,
    text,
    thinking,
    together,
    tools,
    unfair,
    unwatched,
)
from tests.faults.stub.defect import Defect

DEFECTS: Mapping[str, Defect] = {
    **text.DEFECTS,
    **numbers.DEFECTS,
    **attention.DEFECTS,
    **crowd.DEFECTS,
    **together.DEFECTS,
    **beside.DEFECTS,
    **unwatched.DEFECTS,
    **left.DEFECTS,
    **reuse.DEFECTS,
    **soak.DEFECTS,
    **tools.DEFECTS,
    **results.DEFECTS,
    **thinking.DEFECTS,
    **clients.DEFECTS,
    **fields.DEFECTS,
    **refusals.DEFECTS,
    **instructions.DEFECTS,
    **surfaces.DEFECTS,
    **protocol.DEFECTS,
    **retold.DEFECTS,
    **serving.DEFECTS,
    **arrivals.DEFECTS,
    **unfair.DEFECTS,
    **boots.DEFECTS,
    **identity.DEFECTS,
    **agents.DEFECTS,
    **reported.DEFECTS,
    **reported_again.DEFECTS,
    **hostile.DEFECTS,
}
