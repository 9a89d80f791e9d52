"""Turns Ctrl-C and SIGTERM (scancel, a cancelled CI job) into one clean end of the run, at a safe point.

    one process         KeyboardInterrupt where the process stands: pytest's own way
    controller of -n    an event in xdist's queue; KeyboardInterrupt is raised where the controller takes it out

The controller of xdist waits in `queue.Queue.get`, and an exception that a signal raises inside of
`threading.Condition.wait` can leave the condition's lock released: pytest then ends in an INTERNALERROR, "release
unlocked lock", instead of an interrupt. Two of five runs on an H200's host ended so (2026-11-30). Each had been stopped
by timeout(1), which signals its child and then the child's group: the same request comes twice within microseconds.
"""

from __future__ import annotations

import _thread
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

import pytest

SAME_REQUEST_S: Final = 1.0  # a signal that comes again within it is the same request; a person takes longer to insist
EVENT: Final = "interrupted"  # xdist calls the session's `worker_interrupted` for it


class Interrupts:
    """Handles SIGTERM from the start to the end of a process, and SIGINT where the process is a controller of -n."""

    def __init__(self) -> None:
        self.before: dict[signal.Signals, Any] = {}
        self.asked_s: float | None = None  # when the first signal came
        self.queue: Any = None  # xdist's, while the controller waits in it

    def take(self, number: signal.Signals, default: object) -> None:
        """Handle a signal, unless somebody else than Python does so already or it is ignored (`pytest &`)."""
        main = threading.current_thread() is threading.main_thread()  # only there a handler can be set
        if main and number not in self.before and signal.getsignal(number) is default:
            self.before[number] = signal.signal(number, self.receive)

    def restore(self) -> None:
        """Give every signal back to whom it belonged."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before.clear()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Iterator[Any]:
        """Let the controller's loop be interrupted between two events; the first signal only, a second one insists."""
        controller = session.config.pluginmanager.getplugin("dsession")
        if controller is None:
            return (yield)
        self.take(signal.SIGINT, signal.default_int_handler)
        # xdist looks for the method by the event's name.
        controller.worker_interrupted = raise_interrupt
        self.queue = controller.queue
        try:
            return (yield)
        finally:
            self.queue = None

    def receive(self, number: int, _: FrameType | None) -> None:
        """Take one signal.

        Raises:
            KeyboardInterrupt: nobody waits in a queue, or somebody insists.
        """
        now, first = time.monotonic(), self.asked_s is None
        if self.asked_s is not None and now - self.asked_s < SAME_REQUEST_S:
            return
        self.asked_s = now
        if not first or self.queue is None:
            raise_interrupt(number)
        # By a thread of its own: this handler runs inside the main thread, which may hold the lock that `put` needs.
        _thread.start_new_thread(self.queue.put, ((EVENT, {"number": number}),))


def raise_interrupt(number: int) -> None:
    """Raise KeyboardInterrupt with the signal's name: plain pytest would run no teardown after SIGTERM."""
    raise KeyboardInterrupt(signal.Signals(number).name)
