"""Replays evidence: runs pytest in its own process, with `--replay`, on the kept replies next to the file.

It needs a process, since reports import neither fixtures nor suites; and because the judge must be the one of the first
run: the same tests, marks and known failures. It starts no engine, opens no connection and reads no hardware.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Final

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError, HostError
from reports.evidence import files as evidence
from reports.evidence.attempts import order_files, split_runs
from reports.evidence.types import Kept, Record, Result, Run
from reports.replay.differences import Replayed, Unreplayable, compare_replay, join_replays

WITHIN_S: Final = 1800.0  # 54 cells take under a minute on two cores
LOOKED_AFTER_S: Final = 0.2  # how soon a replay that nobody wants any more ends
SHOWN_LINES: Final = 8
LEAN: Final = (
    "-p",
    "no:unraisableexception",
)  # it walks through all objects at the end, in search of finalisers' errors
# They would change the run, or take its asserts away.
LEFT_OUT: Final = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_XDIST_AUTO_NUM_WORKERS", "PYTHONOPTIMIZE")


@contextmanager
def replay_beside(paths: Iterable[Path]) -> Iterator[Callable[[], Replayed]]:
    """Replay evidence while the caller works on, and yield what waits for the result: the replay is a process of its
    own, so a second core has something to do. The replay ends with the block, also where the caller failed.

    Raises:
        ConfigError, HostError: of the result, as `replay_evidence` does.
    """
    unwanted = Event()
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(replay_evidence, tuple(paths), unwanted=unwanted)
        try:
            yield found.result
        finally:
            # Before the pool ends, which waits for its thread.
            unwanted.set()


def replay_evidence(paths: Iterable[Path], *, commit: str = "", unwanted: Event | None = None) -> Replayed:
    """Judge every run of these files again. `commit` is today's, for the message about a test that changed.

    Raises:
        ConfigError: a file is no evidence.
        HostError: the replay did not end, or was `unwanted` before it did.
    """
    files = order_files((path, evidence.read_records(path)) for path in paths)
    return join_replays(part for path, records in files for part in _replay_file(path, records, commit, unwanted))


def _replay_file(path: Path, records: Sequence[Record], commit: str, unwanted: Event | None) -> Iterator[Replayed]:
    for run, own in split_runs(records).items():
        yield _replay_run(path, run, own, commit, unwanted)


def _replay_run(path: Path, run: str, own: Sequence[Record], today: str, unwanted: Event | None) -> Replayed:
    recorded = next((r.commit for r in own if isinstance(r, Run)), "")
    elsewhere = recorded if today and recorded != today else ""
    if not any(isinstance(r, Kept) for r in own):  # before replies were kept, or all was taken away
        return compare_replay(own, [], commit=elsewhere)
    with TemporaryDirectory(prefix="glm-replay-") as folder:
        target = Path(folder) / "derived.jsonl"
        done = run_replay(path, run, target, unwanted)
        try:
            return compare_replay(own, evidence.read_records(target), commit=elsewhere)
        # No evidence, or a broken file: pytest ended before it wrote any, and its last lines say why.
        except ConfigError:
            return _tell_failed(own, done.stdout + done.stderr)


def run_replay(path: Path, run: str, target: Path, unwanted: Event | None = None) -> subprocess.CompletedProcess[str]:
    """Judge one run of an evidence file again; write the derived evidence to `target`.

    Raises:
        HostError: the replay did not end, or was `unwanted` before it did.
    """
    # Records are compared, and nobody reads a traceback: with the source in it each takes 40 ms.
    command = [sys.executable, "-m", "pytest", "suites", "-q", "--tb=native", *LEAN]
    command += [f"--replay={path.resolve()}", f"--replay-run={run}", f"--evidence={target}"]
    with subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=_make_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # pytest's last lines may quote an engine's, which are any bytes.
        errors="replace",
    ) as replaying:
        try:
            said = _await_replay(replaying, path, unwanted)
        except BaseException:
            # The end of `with` waits for the process; without this, Ctrl-C would wait for the whole replay.
            replaying.kill()
            raise
    return subprocess.CompletedProcess(command, replaying.returncode, *said)


def _await_replay(replaying: subprocess.Popen[str], path: Path, unwanted: Event | None) -> tuple[str, str]:
    """Return what the replay printed. Raises: HostError, as `run_replay` does."""
    ends = time.monotonic() + WITHIN_S
    while True:
        # May be asked again after a timeout: it keeps what it has read, and the pipes never fill up.
        with suppress(subprocess.TimeoutExpired):
            return replaying.communicate(timeout=LOOKED_AFTER_S)
        if unwanted is not None and unwanted.is_set():
            raise HostError(f"{path}: nobody waits for its replay any more")
        if time.monotonic() > ends:
            raise HostError(f"{path}: its replay did not end within {WITHIN_S:g} s")


def _make_environment() -> dict[str, str]:
    """Copy our environment without variables that change the run; only the project's own plugin is needed, and some
    cost a second."""
    return {**{k: v for k, v in os.environ.items() if k not in LEFT_OUT}, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def _tell_failed(own: Sequence[Record], said: str) -> Replayed:
    """Report a replay that broke off, once per cell, with pytest's last lines."""
    lines = " | ".join(line.strip() for line in said.splitlines()[-SHOWN_LINES:] if line.strip())
    cells = dict.fromkeys(r.cell for r in own if isinstance(r, Result))
    unable = (Unreplayable(cell=c, test="every test", why=f"the replay broke off: {lines}") for c in cells)
    return Replayed(unreplayable=tuple(unable), tests=sum(isinstance(r, Result) for r in own))
