"""All faults by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.faults.catalogue import (
    attention,
    beside,
    clients,
    features,
    hostile,
    identity,
    instructions,
    lifecycle,
    performance,
    protocol,
    results,
    reuse,
    text,
    thinking,
    together,
    tools,
)
from tests.faults.catalogue.fault import Fault

FAULTS: Mapping[str, Fault] = {
    **text.FAULTS,
    **attention.FAULTS,
    **tools.FAULTS,
    **results.FAULTS,
    **thinking.FAULTS,
    **clients.FAULTS,
    **instructions.FAULTS,
    **protocol.FAULTS,
    **performance.FAULTS,
    **features.FAULTS,
    **lifecycle.FAULTS,
    **identity.FAULTS,
    **together.FAULTS,
    **beside.FAULTS,
    **reuse.FAULTS,
    **hostile.FAULTS,
}
