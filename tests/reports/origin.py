"""Records of a run that is of today's source, on a host that has the rig, with the release's own version."""

from __future__ import annotations

from collections.abc import Sequence

from matrix.hardware import Rig
from matrix.judging.identity import VERSION_NAMES
from matrix.model import Cell
from matrix.output import script as shell
from matrix.output import table as render
from matrix.planning.owed import read_owed
from matrix.planning.plan import make_plan
from matrix.yaml.load import digest_of
from matrix.yaml.loaded import Matrix
from reports.evidence.files import digest_value
from reports.evidence.types import as_json_data
from reports.gate.origin import Today
from tests.reports import world
from tests.reports.world import Json

COMMIT = "c0ffee" * 6 + "c0de"


def today(matrix: Matrix, commit: str = COMMIT) -> Today:
    return Today(commit=commit, matrix_sha256=digest_of(matrix.root))


def run_record(matrix: Matrix, cells: Sequence[Cell], commit: str = COMMIT) -> Json:
    source = {"commit": commit, "dirty": False, "matrix_sha256": digest_of(matrix.root), "depth": "quick"}
    rig = max((c.rig for c in cells), key=lambda r: r.gpus)
    return {"kind": "run", "selection": [c.id for c in cells], "host": host_of(rig), **source}


def host_of(rig: Rig) -> Json:
    gpu = {"name": f"NVIDIA {(rig.gpu.nvml_names or (rig.gpu.name,))[0]}", "sm": rig.sm, "mig": False}
    return {"cpu_count": 8, "gpus": [gpu] * rig.gpus}


def cell_record(matrix: Matrix, cell: Cell) -> Json:
    made = make_plan(matrix, cell)
    content = as_json_data({"facts": render.facts_as_json(cell), "script": shell.render_script(made)})
    return {
        "kind": "cell",
        "cell": cell.id,
        "fingerprint": made.fingerprint,
        **content,
        "sha256": digest_value(content),
    }


def launch_record(matrix: Matrix, cell: Cell) -> Json:
    versions = {VERSION_NAMES[cell.engine.dialect]: cell.release.version}
    who = {"cell": cell.id, "fingerprint": make_plan(matrix, cell).fingerprint}
    return {"kind": "launch", **who, "outcome": "ok", "launch_s": 1.0, "versions": versions}


def result_record(matrix: Matrix, cell: Cell, suite: str = "boot") -> list[Json]:
    """Return a test that passed, and what it saw."""
    node = f"suites/test_{suite}.py::test_boots[{cell.id}]"
    who = {"cell": cell.id, "fingerprint": make_plan(matrix, cell).fingerprint, "test": "test_boots", "nodeid": node}
    return [
        {"kind": "finding", **who, "check": "boot.token", "ok": True, "expected": "a token", "got": "a"},
        {"kind": "result", **who, "status": "PASS", "duration_s": 0.1},
    ]


def owed_records(cell: Cell) -> list[Json]:
    """All that it owes, passed."""
    return world.with_evidence(
        {"kind": "result", "cell": cell.id, "test": i.test, "nodeid": i.nodeid(cell.id), "status": "PASS"}
        for i in read_owed().asked_of(cell, "quick")
    )


def green(matrix: Matrix, cells: Sequence[Cell], commit: str = COMMIT, *, whole: bool = False) -> list[Json]:
    """Everything but the end; `whole`: with all that the cells owe to a policy that is read from a file."""
    fields = [run_record(matrix, cells, commit)]
    for cell in cells:
        owed = owed_records(cell) if whole else []
        tests = [f["nodeid"] for f in (*result_record(matrix, cell), *owed) if f["kind"] == "result"]
        fields += [cell_record(matrix, cell), {"kind": "expected", "cell": cell.id, "tests": tests}]
        fields += [launch_record(matrix, cell), *result_record(matrix, cell), *owed]
        proof = {"kind": "proof", "cell": cell.id, "outcome": "proven", "rung": "log"}
        fields += [proof | {"feature": f} for f in sorted(cell.features)]
    return fields
