"""Checks that the host of a cell's run had the cell's rig, from the recorded facts alone, for every run that answered.
Pure.

The user claims a rig by name; NVML reports model, SM and number of the GPUs. More GPUs than the rig has do no harm. For
an attached engine, the recorded host is the client's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from matrix.gpu_model import is_gpu_of
from matrix.hardware import Rig
from matrix.judging.status import Status
from matrix.wording import list_first
from reports.evidence.summary import CellRow
from reports.evidence.types import Record, Result, Run
from reports.expected import ExpectedCell
from reports.gate.accepted import Deviation

# A host that only says so says nothing of an engine, and need not have the rig.
NO_ANSWER = frozenset({Status.HOST_ERROR, Status.SKIP_NO_HW, Status.MISSING, Status.NOT_ASKED})


SHOWN: Final = 3  # cells of a sentence; the rest is counted


class _RecordedGpu(NamedTuple):
    """What a run recorded of one GPU."""

    name: str
    sm: int


def find_host_deviations(cell: ExpectedCell, row: CellRow, records: Sequence[Record]) -> Iterator[Deviation]:
    """Find each run of a cell whose host is unknown, or lacks what the cell's rig has."""
    if cell.rig is None:
        return
    answered = {r.run for r in records if isinstance(r, Result) and r.cell == cell.id and r.status not in NO_ANSWER}
    for run in (r for r in records if isinstance(r, Run) and r.run in answered):
        attached = any(launch.attached for launch in row.launches if launch.run == run.run)
        if why := _explain_misfit(cell.rig, run.host, attached=attached):
            yield Deviation(cell=cell.id, what=why[0], of=cell.id, text=f"{why[1]} (run {run.run}).")


def tell_hosts(rows: Sequence[CellRow], runs: Sequence[Run]) -> Iterator[str]:
    """Yield a sentence for the cells whose answers are of several hosts, each of which may fit the rig: another driver
    or another count of GPUs beside it can give other numbers."""
    hosts = {run.run: _name_host(run.host) for run in runs}
    several: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        answered = {r.run for t in row.tests for r in t.answers if r.status not in NO_ANSWER}
        if len(named := sorted({hosts[run] for run in answered if run in hosts})) > 1:
            several.setdefault(tuple(named), []).append(row.cell)
    for named_hosts, cells in several.items():
        shown = list_first(cells, SHOWN, what="cells")
        yield f"{shown}: the answers are of {len(named_hosts)} hosts ({'; '.join(named_hosts)})."


def _name_host(host: Mapping[str, Any]) -> str:
    driver = f", driver {host['driver']}" if host.get("driver") else ""
    return f"{host.get('description') or host.get('machine') or 'not recorded'}{driver}"


def _explain_misfit(rig: Rig, host: Mapping[str, Any], *, attached: bool) -> tuple[str, str] | None:
    """Explain why the host does not have the rig, as deviation and sentence; None where it has."""
    if not host:
        return "unknown_host", "which host it ran on was not recorded"
    if rig.gpus == 0:
        return None
    if attached:
        return "unknown_host", "its engine was started elsewhere, and the recorded host is the one that asked"
    gpus = _read_gpus(host)
    if gpus is None:
        return "unknown_host", "which GPUs its host has was not recorded"
    own = sum(is_gpu_of(rig, gpu.name, gpu.sm) for gpu in gpus)
    if own < rig.gpus:
        return (
            "another_host",
            f"it ran on {_describe_gpus(gpus)}, and {rig.id} is {rig.gpus} x {rig.gpu.name} (sm{rig.sm})",
        )
    return None


def _read_gpus(host: Mapping[str, Any]) -> list[_RecordedGpu] | None:
    """Read the GPUs that a rig can use; a GPU divided by MIG is none. None where the record holds no list of GPUs."""
    found = host.get("gpus")
    if not isinstance(found, Sequence) or isinstance(found, str):
        return None
    gpus: list[_RecordedGpu] = []
    for each in found:
        name, sm = (each.get("name"), each.get("sm")) if isinstance(each, Mapping) else (None, None)
        if not isinstance(name, str) or not isinstance(sm, int):
            return None
        if not each.get("mig"):
            gpus.append(_RecordedGpu(name, sm))
    return gpus


def _describe_gpus(gpus: Sequence[_RecordedGpu]) -> str:
    return ", ".join(f"{n} x {gpu.name} (sm{gpu.sm})" for gpu, n in Counter(gpus).items()) or "no GPU"
