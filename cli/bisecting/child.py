"""What a probe runs: pytest, which is interrupted when whoever started it ends, however that happens."""

from __future__ import annotations

import signal
import sys

import pytest

from fixtures.llamacpp.owner import die_with_owner


def hear_of_the_end() -> None:
    """Be interrupted as by Ctrl-C, also at our owner's death: then the engine is stopped and the evidence ended."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts with `&` ignore it
    # SIGINT rather than SIGKILL: pytest then stops its engine, which a kill would leave on the GPU
    die_with_owner(signal.SIGINT)


if __name__ == "__main__":
    hear_of_the_end()
    raise SystemExit(pytest.main(sys.argv[1:]))
