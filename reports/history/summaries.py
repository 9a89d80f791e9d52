"""What a question about everything reads instead of every row: the series of numbers, and the passes of each run.

Half a year of three rigs has 0.8 million results and 5,000 series. Counting the one and looking for the other took half
of `trend`'s time, and neither changes once a run is indexed.
"""

from __future__ import annotations

import sqlite3
from typing import Final

SCHEMA: Final = """
CREATE TABLE series (
  cell TEXT, name TEXT, conditions TEXT, unit TEXT, PRIMARY KEY (cell, name, conditions, unit)
) WITHOUT ROWID;
CREATE TABLE passes (run TEXT, t TEXT, cell TEXT, fingerprint TEXT, passed INTEGER);
CREATE INDEX passes_by_cell ON passes (cell, t);
CREATE INDEX passes_by_run ON passes (run);
"""
# Of a plain column beside min(), SQLite takes the value of the row that has the minimum.
SERIES: Final = "INSERT OR IGNORE INTO series SELECT cell, name, conditions, unit FROM numbers"
PASSES: Final = (
    "INSERT INTO passes SELECT run, min(t), cell, fingerprint, sum(status IN ('PASS', 'MEASURED')) FROM results"
)


def summarise_run(connection: sqlite3.Connection, run: str) -> None:
    """Add what one run says, after its results and numbers were inserted. A series of a run that is forgotten later
    stays, and whoever reads it finds no point."""
    connection.execute(f"{SERIES} WHERE run = ?", (run,))
    connection.execute(f"{PASSES} WHERE run = ? GROUP BY cell", (run,))


def summarise_all(connection: sqlite3.Connection) -> None:
    """Make both tables in an index that has none: seconds, where reading half a year of evidence again takes an
    hour."""
    for statement in SCHEMA.split(";"):
        if statement.strip():
            connection.execute(statement)
    connection.execute(SERIES)
    connection.execute(f"{PASSES} GROUP BY run, cell")
