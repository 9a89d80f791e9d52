"""python -m tests.suites.owing: write matrix/owed.json, what the suites ask of which cells, and from which depth on.

The suites are collected by pytest in a process of its own, at the deepest depth and with no selection, for one cell of
each kind that a `for_cells` mark can tell apart. Where an item does not follow from that (its id depends on the cell),
nothing is written: what a cell owes must be known without a run.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from matrix.model import Cell
from matrix.planning.claimed import find_claims
from matrix.planning.expand import expand_matrix
from matrix.planning.owed import ASKED_KEYS, CELL, COMMAND, DEPTHS, FILE, SHALLOWEST, parse_owed
from matrix.yaml.load import load_matrix
from tests.pytest_forkserver import run_pytest

TARGET = "GLM_TEST_OWED"  # where the plugin writes what was collected
UNSET = {"PYTEST_ADDOPTS": "", "PYTEST_PLUGINS": ""}  # they could narrow the collection
WITHIN_S = 300.0
Json = dict[str, Any]


def pytest_collection_finish(session: pytest.Session) -> None:
    """As a plugin (`-p tests.suites.owing`) of the collecting process."""
    if TARGET in os.environ:
        found = [said for item in session.items if (said := _said_of(item))]
        Path(os.environ[TARGET]).write_text(json.dumps(found), encoding="utf-8")


def _said_of(item: pytest.Item) -> Json | None:
    callspec = getattr(item, "callspec", None)
    cell = callspec.params.get("cell") if callspec else None
    if not isinstance(cell, Cell):
        return None
    marks = [m.kwargs for m in item.iter_markers("for_cells")]
    from_depth = max((m.args[0] for m in item.iter_markers("from_depth")), key=DEPTHS.index, default=SHALLOWEST)
    return {"nodeid": item.nodeid, "cell": cell.id, "marks": marks, "from_depth": from_depth}


def one_of_each_kind() -> tuple[Cell, ...]:
    """Return a cell for each set of features, canary and not, and one for each set of claims."""
    kinds: dict[tuple[frozenset[str], bool | None], Cell] = {}
    for cell in expand_matrix(load_matrix()).runnable:
        kinds.setdefault((cell.features, cell.checkpoint.canary), cell)
        kinds.setdefault((find_claims(cell), None), cell)
    return tuple({cell.id: cell for cell in kinds.values()}.values())


def collect(depth: str, cells: Sequence[Cell], *options: str) -> list[Json]:
    """Collect these cells with pytest at a depth."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "items.json"
        done = run_pytest(
            "suites",
            "-p",
            "tests.suites.owing",
            "--collect-only",
            "-q",
            f"--depth={depth}",
            *options,
            "--cells",
            *(c.id for c in cells),
            env={TARGET: str(target), **UNSET},
            timeout_s=WITHIN_S,
        )
        if not target.exists():
            raise RuntimeError(f"the suites cannot be collected:\n{done.stdout}{done.stderr}")
        found: list[Json] = json.loads(target.read_text(encoding="utf-8"))
        return found


@cache
def owed() -> Mapping[str, Json]:
    """Return the table, as it is written.

    Raises:
        ValueError: an item does not follow from a cell's features and claims, whether it is a canary, and the depth.
    """
    cells = one_of_each_kind()
    collected = collect(DEPTHS[-1], cells)
    table = dict(map(_entry, collected))
    if wrong := list(_unlike(table, collected, cells)):
        raise ValueError("\n".join(wrong))
    return table


def _entry(item: Json) -> tuple[str, Json]:
    """Return an item's pattern, and when it is asked."""
    name, bracket, parameters = item["nodeid"].partition("[")
    words = parameters.removesuffix("]").split("-")
    if words.count(item["cell"]) != 1:
        raise ValueError(f"{item['nodeid']}: its id does not hold the cell as one parameter, so none follows from it")
    for mark in item["marks"]:
        if unknown := mark.keys() - ASKED_KEYS:
            raise ValueError(f"{item['nodeid']}: for_cells({', '.join(sorted(unknown))}=...) narrows nothing")
    at = words.index(item["cell"])
    said: Json = {"from_depth": item["from_depth"]}
    said |= {"features": f} if (f := sorted({f for m in item["marks"] for f in m.get("features", ())})) else {}
    said |= {"claims": c} if (c := sorted({c for m in item["marks"] for c in m.get("claims", ())})) else {}
    said |= {"canary": True} if any(m.get("canary") for m in item["marks"]) else {}
    return f"{name}{bracket}{'-'.join([*words[:at], CELL, *words[at + 1 :]])}]", said


def _unlike(table: Mapping[str, Json], collected: Sequence[Json], cells: Sequence[Cell]) -> Iterator[str]:
    """Where the table does not lead back to what was collected."""
    known = parse_owed(table)
    for cell in cells:
        own = {i["nodeid"] for i in collected if i["cell"] == cell.id}
        for nodeid in own ^ set(known.nodeids(cell, DEPTHS[-1])):
            yield f"{nodeid}: whether it is asked does not follow from features, canary, claims and depth"


def as_text(table: Mapping[str, Json]) -> str:
    """JSON, one item a line, by name."""
    rows = (f" {json.dumps(pattern)}: {json.dumps(said)}" for pattern, said in sorted(table.items()))
    return "{\n" + ",\n".join(rows) + "\n}\n"


def main(argv: Sequence[str]) -> int:
    """Write it, or with --check say whether it is what would be written."""
    text = as_text(owed())
    if "--check" not in argv:
        FILE.write_text(text, encoding="utf-8")
        return 0
    if FILE.is_file() and FILE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{FILE.name} is stale: {COMMAND}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
