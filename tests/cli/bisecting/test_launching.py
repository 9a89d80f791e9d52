"""A probe ends with us: interrupted once, as by Ctrl-C, and killed only when it does not listen."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.bisecting import child, launching
from cli.bisecting.launching import run_pytest
from matrix.errors import HostError

POLITE = "import time\ntry:\n print('up', flush=True); time.sleep(60)\nexcept KeyboardInterrupt:\n print('stopped')\n"
DEAF = "import signal,time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('up', flush=True); time.sleep(60)\n"


@pytest.mark.parametrize(("script", "said"), [(POLITE, "up\nstopped\n"), (DEAF, "up\n")], ids=["polite", "deaf"])
def test_a_probe_that_is_too_long_is_interrupted_and_then_killed(
    tmp_path: Path, script: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "STOP_S", 10.0 if script == POLITE else 0.3)
    started: list[subprocess.Popen[bytes]] = []
    right = subprocess.Popen

    def start(*args: object, **more: object) -> subprocess.Popen[bytes]:
        started.append(right(*args, **more))  # type: ignore[call-overload]
        while not (tmp_path / "log").read_text():
            time.sleep(0.02)
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(launching, "PROBE_S", 0.05)
    with pytest.raises(HostError, match="did not end within"):
        run_pytest([sys.executable, "-c", script], tmp_path / "log")
    assert started[0].poll() is not None and (tmp_path / "log").read_text() == said


def test_a_probe_listens_though_a_shell_started_us_with_interrupts_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(child, "die_with_owner", told.append)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child.hear_of_the_end()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler and told == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)
