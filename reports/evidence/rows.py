"""Makes the rows of large evidence one at a time, and thin forms of rows that many may be held of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from matrix.wording import cut_text
from reports.evidence.attempts import order_by_time
from reports.evidence.by_cell import CellReader
from reports.evidence.summary import TOK_S, TTFT_MS, CellRow, LaunchIndex, SettledTest, make_board_of_visible
from reports.evidence.types import AFTER, EMPTY, Launch, Result, Stop

MESSAGE_CHARS: Final = 300  # of a thin row


def iterate_rows(
    reader: CellReader,
    cells: Sequence[str] | None = None,
    facts: Mapping[str, Mapping[str, Any]] = EMPTY,
    owed: Mapping[str, Sequence[str]] = EMPTY,
) -> Iterator[CellRow]:
    """Make each cell's row, or those of the named ones, from its own records and the launches of its plans.

    `facts` and `owed` are of the cells that a policy expects, as `make_board` takes them.

    Raises:
        Unstreamable: see `CellReader`.
    """
    started = LaunchIndex([r for r in order_by_time(reader.shared) if isinstance(r, Launch)])
    stops = [r for r in order_by_time(reader.shared) if isinstance(r, Stop)]
    for cell in reader.cells if cells is None else cells:
        own = list(reader.read_cell(cell))
        plans = {r.fingerprint for r in own} | {r.fingerprint for r in started.list_launches(cell, ())}
        ended = (r for r in stops if r.fingerprint in plans)
        records = [*started.list_launches(cell, plans - {""}), *own, *ended]
        expected = {cell: facts[cell]} if cell in facts else {}
        board = make_board_of_visible(records, expected, {cell: owed[cell]} if cell in owed else {})
        yield from (row for row in board.rows if row.cell == cell)


def make_thin(row: CellRow) -> CellRow:
    """Drop what only a cell's own page shows: findings, logs, scripts, all but the best numbers."""
    best = (row.best(TOK_S), row.best(TTFT_MS))
    thin = {id(each): _make_launch_thin(each) for each in row.launches}
    return replace(
        row,
        tests=tuple(_make_test_thin(each) for each in row.tests),
        launches=tuple(thin.values()),
        standing=tuple(thin[id(each)] for each in row.standing),
        expected=(),
        owed=(),
        measurements=tuple(each for each in best if each),
        proofs=tuple(replace(each, nodeid="", data={}) for each in row.proofs),
        script="",
        kept=(),
    )


def _make_test_thin(test: SettledTest) -> SettledTest:
    if not test.findings and (test.result is None or len(test.result.message) <= MESSAGE_CHARS):
        return test
    return SettledTest(
        cell=test.cell,
        nodeid=test.nodeid,
        status=test.status,
        result=test.result and _make_result_thin(test.result),
        findings=tuple(f for f in test.findings if f.note),
        attempts=test.attempts,
        told=test.told,
    )


def _make_result_thin(result: Result) -> Result:
    # Most say little: a copy of each result of each cell took a thirtieth of the pages' time.
    if len(result.message) <= MESSAGE_CHARS:
        return result
    return replace(result, message=cut_text(result.message, MESSAGE_CHARS))


def _make_launch_thin(launch: Launch) -> Launch:
    after = {name: value for name, value in launch.data.items() if name == AFTER}
    return replace(launch, command=(), message=launch.message[:MESSAGE_CHARS], data=after)
