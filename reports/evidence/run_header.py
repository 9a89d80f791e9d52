"""Holds what a run declares before its first test, and what each of its processes knows: outbox, run id, identities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from matrix.collection.items import CellItem
from matrix.output import places
from reports.evidence.files import PREVIOUS
from reports.evidence.kept import FOLDER
from reports.evidence.outbox import Outbox

IDENTITY = ("cell", "fingerprint", "test")


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One cell of this run, as its `cell` record will describe it."""

    id: str
    facts: Mapping[str, Any]
    fingerprint: str
    script: str = ""


@dataclass(kw_only=True)
class Declaration:
    """Everything that `declare_run` received, until the run's first records are written."""

    cells: dict[str, Declared] = field(default_factory=dict)
    expected: dict[str, list[str]] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    written: bool = False


DECLARATION = pytest.StashKey[Declaration]()
OUTBOX = pytest.StashKey[Outbox]()


def declare_run(
    config: pytest.Config,
    *,
    cells: Sequence[Declared],
    expected: Mapping[str, Sequence[str]] | None = None,
    **run: Any,
) -> None:
    """Declare the cells of this run before its first test; callers may declare more than once.

    `expected` (cell id -> node ids or test names) adds to what collection finds by itself. `run` holds fields of the
    `run` record: host, versions, matrix_sha256, commit, dirty, diff_sha256. In an xdist worker this does nothing.
    """
    known = config.stash.setdefault(DECLARATION, Declaration())
    if known.written:
        raise RuntimeError("declare_run() comes too late: the run's first records are written")
    known.cells.update({c.id: c for c in cells})
    for cell, tests in (expected or {}).items():
        known.expected.setdefault(cell, []).extend(tests)
    known.run.update(run)


def list_written(config: pytest.Config) -> tuple[Path, ...]:
    """List what this run writes: evidence with its lock and kept replies, and JUnit. It is no change of the source."""
    names = [getattr(config.option, name, None) for name in ("evidence", "xmlpath")]
    names += getattr(config.option, "continue_files", [])  # written by the runs that this one continues
    paths = [Path(config.invocation_params.dir, name) for name in names if name]
    beside = [(p, (f".{p.name}.lock", f"{p.stem}{FOLDER}", f"{p.stem}{PREVIOUS}")) for p in paths]
    written = (*paths, *(path.with_name(name) for path, others in beside for name in others))
    return (*written, locate_run_logs(config))


def locate_run_logs(config: pytest.Config) -> Path:
    """Return the folder where this run's engines log: beside its evidence."""
    return places.locate_logs(Path(config.invocation_params.dir, config.option.evidence))


def outbox_of(config: pytest.Config) -> Outbox:
    """Return this process's outbox, which keeps records until the next test report carries them."""
    return config.stash[OUTBOX]


def run_id(config: pytest.Config) -> str:
    return config.stash[OUTBOX].run_id


def identity_of(item: pytest.Item) -> dict[str, str]:
    """Return cell, fingerprint, test and node id of an item; empty for a test without a cell."""
    if isinstance(item, CellItem):
        return {**item.identity, "nodeid": item.nodeid}
    found = {k: str(v) for k, v in item.user_properties if k in IDENTITY}
    return {**found, "nodeid": item.nodeid} if "cell" in found else {}
