"""`python -m pytest` of this checkout in a process of its own, without starting Python for it.

Most of what a short run of pytest takes is imports and the matrix, again and again. A server collects the suites once
and then forks for each run: a process of its own with its own environment, files and end, and with the modules already
there. What is about the start of Python or about an empty module table still starts `python -m pytest`.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from matrix.checkout import CHECKOUT

CELLS: Final = "cpu.*.canary_bf16.baseline"  # few are enough to import the suites and to expand the matrix
WARM_UP: Final = ("suites", "--collect-only", "-qq", "--cells", CELLS)
KEPT: Final = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")  # they would narrow the collection that warms the server up
Finished = subprocess.CompletedProcess[str]


def run_pytest(*words: str | Path, env: Mapping[str, str] = {}, timeout_s: float = 120.0) -> Finished:
    """Run pytest with these arguments in the checkout, and with `env` on top of this process's environment.

    Raises:
        subprocess.TimeoutExpired: it took longer than `timeout_s`; it was killed.
    """
    return _server().run([str(w) for w in words], {**os.environ, **env}, timeout_s)


class ForkServer:
    """The server as its client sees it: one run at a time."""

    def __init__(self) -> None:
        own = {k: v for k, v in os.environ.items() if k not in KEPT}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.pytest_forkserver"],
            cwd=CHECKOUT,
            env=own,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, words: list[str], env: Mapping[str, str], timeout_s: float) -> Finished:
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder) / "out", Path(folder) / "err"
            asked = {"args": words, "env": dict(env), "out": str(out), "err": str(err), "timeout_s": timeout_s}
            code = self._ask(asked)
            said = [path.read_text(encoding="utf-8", errors="replace") for path in (out, err)]
        if code is None:
            raise subprocess.TimeoutExpired(words, timeout_s, *said)
        return subprocess.CompletedProcess(words, code, *said)

    def _ask(self, asked: Mapping[str, Any]) -> int | None:
        """Return the exit code of the run; None when it was killed because it took too long."""
        assert self._process.stdin and self._process.stdout
        with suppress(BrokenPipeError):  # it has ended, and says why on standard error
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
        if not (line := self._process.stdout.readline()):
            raise RuntimeError(f"the server of pytest runs ended with {self._process.wait()}, see its standard error")
        code: int | None = json.loads(line)
        return code

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@cache
def _server() -> ForkServer:
    server = ForkServer()
    atexit.register(server.close)
    return server


def main() -> int:
    """Serve requests from standard input until it ends. A forked child leaves this function, too: with its own code."""
    replies = os.dup(1)
    if code := _warm_up():
        return code
    gc.collect()
    gc.freeze()  # what the server made is no garbage of any run: a child need not look through it again
    for line in sys.stdin:
        asked = json.loads(line)
        if (child := os.fork()) == 0:
            return _run(asked)
        os.write(replies, f"{json.dumps(_wait(child, asked['timeout_s']))}\n".encode())
    return 0


def _warm_up() -> int:
    """Collect the suites. Return pytest's exit code; what it said is of interest only when it failed."""
    errors = os.dup(2)
    with tempfile.TemporaryFile() as said:
        for number in (1, 2):
            os.dup2(said.fileno(), number)
        code = int(pytest.main(list(WARM_UP)))
        sys.stdout.flush()
        if code:
            said.seek(0)
            os.write(errors, said.read())
    os.close(errors)
    return code


def _run(asked: Mapping[str, Any]) -> int:
    """Run pytest in the child as `python -m pytest` would."""
    os.environ.clear()
    os.environ.update(asked["env"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    _redirect(Path(asked["out"]), Path(asked["err"]))
    sys.argv = [str(Path(pytest.__file__).with_name("__main__.py")), *asked["args"]]
    return int(pytest.main(asked["args"]))


def _redirect(out: Path, err: Path) -> None:
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)


def _wait(child: int, within_s: float) -> int | None:
    """Return the child's exit code as `subprocess` gives it, or None after it was killed."""
    pidfd = os.pidfd_open(child)
    try:
        ended = bool(select.select([pidfd], [], [], within_s)[0])
    finally:
        os.close(pidfd)
    if not ended:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if ended else None


if __name__ == "__main__":
    sys.exit(main())
