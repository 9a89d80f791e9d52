"""Ctrl-C for what the tests start, however the tests themselves were started.

A shell that is not interactive starts background jobs (`make test &`, most CI steps) with SIGINT ignored, and a child
inherits that. A test that interrupts its child then waits for a child that never heard of it, and fails on one machine
only. It looks like timing and is not.
"""

from __future__ import annotations

import signal


def restore_interrupt() -> None:
    """Take the default handler where SIGINT is ignored; keep every other one. A child gets the default back."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
