"""Refuses evidence in which no test ever answered: a table of nothing looks like a table of green."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from matrix.errors import ConfigError, Problem
from reports.evidence.types import Record, Result, Run


def require_results(paths: Sequence[Path], records: Iterable[Record]) -> None:
    """Return where at least one test of one cell has a result.

    Raises:
        ConfigError: names the files, and what they hold instead.
    """
    found = list(records)
    if any(isinstance(r, Result) for r in found):
        return
    runs = sum(isinstance(r, Run) for r in found)
    told = f"{runs} run{'s' if runs != 1 else ''} began and no test has a result" if runs else "it holds no run"
    message = f"{told}; expected evidence of a run, as `pytest --evidence FILE` writes it"
    raise ConfigError([Problem(str(path), 0, "", message) for path in paths])
