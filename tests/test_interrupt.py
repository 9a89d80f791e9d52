"""A child can be interrupted though the shell that started the tests ignores Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.interrupt import restore_interrupt

CHILD = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"


@pytest.fixture
def background() -> Iterator[None]:
    """As a job that a shell started with `&`."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


def child_ignores_interrupts() -> bool:
    return subprocess.check_output([sys.executable, "-c", CHILD], text=True).strip() == "True"


def test_a_child_of_a_background_job_can_be_interrupted(background: None) -> None:
    assert child_ignores_interrupts(), "the premise: what is ignored is inherited"
    restore_interrupt()
    assert not child_ignores_interrupts()


def test_a_handler_of_somebody_else_stays() -> None:
    before = signal.getsignal(signal.SIGINT)
    restore_interrupt()
    assert signal.getsignal(signal.SIGINT) is before
