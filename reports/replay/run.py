"""Replays evidence: runs pytest in its own process, with `--replay`, on the kept replies next to the file.

It needs a process, since reports import neither fixtures nor suites; and because the judge must be the one of the first
run: the same tests, marks and known failures. It starts no engine, opens no connection and reads no hardware.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError, HostError
from reports.evidence import files as evidence
from reports.evidence.attempts import order_files, split_runs
from reports.evidence.types import Kept, Record, Result, Run
from reports.replay.differences import Replayed, Unreplayable, compare_replay, join_replays

WITHIN_S: Final = 1800.0  # 54 cells take under a minute on two cores
SHOWN_LINES: Final = 8
# They would change the run, or take its asserts away.
LEFT_OUT: Final = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_XDIST_AUTO_NUM_WORKERS", "PYTHONOPTIMIZE")


def replay_evidence(paths: Iterable[Path], *, commit: str = "") -> Replayed:
    """Judge every run of these files again. `commit` is today's, for the message about a test that changed.

    Raises:
        ConfigError: a file is no evidence.
        HostError: the replay did not end.
    """
    files = order_files((path, evidence.read_records(path)) for path in paths)
    return join_replays(part for path, records in files for part in _replay_file(path, records, commit))


def _replay_file(path: Path, records: Sequence[Record], commit: str) -> Iterator[Replayed]:
    for run, own in split_runs(records).items():
        yield _replay_run(path, run, own, commit)


def _replay_run(path: Path, run: str, own: Sequence[Record], today: str) -> Replayed:
    recorded = next((r.commit for r in own if isinstance(r, Run)), "")
    elsewhere = recorded if today and recorded != today else ""
    if not any(isinstance(r, Kept) for r in own):  # before replies were kept, or all was taken away
        return compare_replay(own, [], commit=elsewhere)
    with TemporaryDirectory(prefix="glm-replay-") as folder:
        target = Path(folder) / "derived.jsonl"
        done = run_replay(path, run, target)
        try:
            return compare_replay(own, evidence.read_records(target), commit=elsewhere)
        # No evidence, or a broken file: pytest ended before it wrote any, and its last lines say why.
        except ConfigError:
            return _tell_failed(own, done.stdout + done.stderr)


def run_replay(path: Path, run: str, target: Path) -> subprocess.CompletedProcess[str]:
    """Judge one run of an evidence file again; write the derived evidence to `target`.

    Raises:
        HostError: the replay did not end.
    """
    try:
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "suites",
                "-q",
                f"--replay={path.resolve()}",
                f"--replay-run={run}",
                f"--evidence={target}",
            ],
            cwd=CHECKOUT,
            env=_make_environment(),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=WITHIN_S,
            stdin=subprocess.DEVNULL,  # a debugger in a test would wait for a person
        )
    except subprocess.TimeoutExpired:
        raise HostError(f"{path}: its replay did not end within {WITHIN_S:g} s") from None


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
