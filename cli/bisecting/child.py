"""What a probe runs: pytest, which is interrupted when whoever started it ends, however that happens."""

from __future__ import annotations

import signal
import sys

import pytest

from fixtures.llamacpp.owner import die_with_owner

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts with `&` ignore it
    die_with_owner(signal.SIGINT)  # as Ctrl-C: the engine is stopped and the evidence is ended
    raise SystemExit(pytest.main(sys.argv[1:]))
