"""Ctrl-C and SIGTERM end a run at a safe point, however often they are sent at once; real runs, and the handler."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reports.evidence import files as evidence
from reports.evidence.interrupts import EVENT, SAME_REQUEST_S, Interrupts
from reports.evidence.types import End, Result
from tests.interrupt import restore_interrupt
from tests.reports.evidence.small_run import records, start_group

WAITS = """
import time
def test_ok(cell): pass
def test_waits(cell):
    while True: time.sleep(0.05)
"""


def test_a_controller_that_is_told_twice_at_once_ends_cleanly(tmp_path: Path) -> None:
    """As timeout(1) does: the child, then its whole group."""
    restore_interrupt()
    process = start_group(tmp_path, WAITS, ["-n2"])
    until = time.monotonic() + 60
    while not (file := tmp_path / "e.jsonl").exists() or file.read_bytes().count(b'"kind":"result"') < 2:
        assert time.monotonic() < until and process.poll() is None, "no test was answered"
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, out
    assert "INTERNALERROR" not in out and "Traceback" not in out
    # Raised where the controller takes the event out of its queue, and not inside of its lock.
    # Raised where the controller takes the event out of its queue, and not inside of that queue's lock.
    assert "threading.py" not in out and ": KeyboardInterrupt: SIGINT" in out
    assert "replacing crashed worker" not in out
    whole = records(tmp_path)
    assert [r.test for r in whole if isinstance(r, Result)] == ["test_ok", "test_ok"]
    assert isinstance(whole[-1], End) and whole[-1].interrupted and evidence.is_sealed(whole)
    assert "test_ok" in (tmp_path / "junit.xml").read_text()


class PuttersQueue(queue.Queue[tuple[str, dict[str, Any]]]):
    """A queue that knows which threads put into it."""

    def __init__(self) -> None:
        super().__init__()
        self.putters: list[int] = []

    def put(self, item: tuple[str, dict[str, Any]], block: bool = True, timeout: float | None = None) -> None:
        self.putters.append(threading.get_ident())
        super().put(item, block, timeout)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return the handler's clock, which a test moves."""
    made = SimpleNamespace(now=7.0)
    monkeypatch.setattr("reports.evidence.interrupts.time.monotonic", lambda: made.now)
    return made


def loop(interrupts: Interrupts, controller: Any) -> Iterator[Any]:
    """Return the wrapper of the run's loop, which stands inside of the loop."""
    session: Any = SimpleNamespace(
        config=SimpleNamespace(pluginmanager=SimpleNamespace(getplugin=lambda _: controller))
    )
    wrapper = interrupts.pytest_runtestloop(session)
    next(wrapper)
    return wrapper


def test_a_waiting_controller_gets_one_event_from_another_thread(clock: SimpleNamespace) -> None:
    controller = SimpleNamespace(queue=PuttersQueue())
    one = Interrupts()
    wrapper = loop(one, controller)
    try:
        with controller.queue.mutex:  # as a signal finds the main thread, at times
            one.receive(signal.SIGINT, None)
        clock.now += SAME_REQUEST_S / 2
        one.receive(signal.SIGINT, None)  # the group's copy
        name, arguments = controller.queue.get(timeout=30)
        assert (name, controller.queue.empty()) == (EVENT, True)
        assert threading.get_ident() not in controller.queue.putters
        with pytest.raises(KeyboardInterrupt, match="SIGINT"):
            getattr(controller, f"worker_{name}")(**arguments)
        clock.now += SAME_REQUEST_S
        with pytest.raises(KeyboardInterrupt, match="SIGTERM"):  # somebody insists
            one.receive(signal.SIGTERM, None)
    finally:
        wrapper.close()  # type: ignore[attr-defined]
        one.restore()
    assert one.queue is None


@pytest.mark.parametrize("controller", [None, SimpleNamespace(queue=PuttersQueue())], ids=["alone", "after the loop"])
def test_where_nobody_waits_the_interrupt_is_raised_at_once_and_once(clock: SimpleNamespace, controller: Any) -> None:
    one = Interrupts()
    loop(one, controller).close()  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        one.receive(signal.SIGTERM, None)
    one.receive(signal.SIGTERM, None)
    one.restore()
    assert controller is None or not controller.queue.putters


def test_only_pythons_own_handlers_are_replaced_and_all_are_given_back() -> None:
    restore_interrupt()
    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        one = Interrupts()
        one.take(signal.SIGINT, signal.default_int_handler)
        other = Interrupts()
        other.take(signal.SIGINT, signal.default_int_handler)  # pytest inside of pytest
        assert signal.getsignal(signal.SIGINT) == one.receive and not other.before
        one.restore()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a job that a shell started with `&`
        one.take(signal.SIGINT, signal.default_int_handler)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
