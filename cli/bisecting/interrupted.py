"""A search that was cut short goes on: what its boots answered is read below `--out`, where it asked the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from cli.bisecting.recorded import RecordedRun, group_runs, list_runs
from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError, HostError, Problem
from matrix.model import Cell
from matrix.yaml.load import digest_of, load_matrix
from reports.evidence.files import read_records
from reports.evidence.source_state import read_commit
from reports.evidence.types import End, Record

STATE: Final = "bisect.json"
PROBES: Final = "probes"
# one numbering over both: a file's number says when it was made, whatever it asked
FOLDERS: Final = (PROBES, "settings")
NUMBER: Final = re.compile(r"(\d{3,6})-.*", re.ASCII)
OPTION: Final = "--continue"


def find_last_number(out: Path) -> int:
    """Return the number of the last boot that left something below a folder; 0 where there is none."""
    names = (path.name for folder in FOLDERS for path in (out / folder).glob("*-*"))
    return max((int(found[1]) for name in names if (found := NUMBER.fullmatch(name))), default=0)


def make_state(cell: str, test: str, depth: str) -> dict[str, str]:
    """Return what the answers of a search depend on, beside the release."""
    return {
        "cell": cell,
        "test": test,
        "depth": depth,
        # rules, recipes and suites decide an answer as much as the release does: changed since, nothing is comparable
        "matrix_sha256": digest_of(load_matrix().root),
        "commit": read_commit(CHECKOUT),
    }


def write_state(out: Path, state: Mapping[str, str]) -> None:
    """Write it below `out`.

    Raises:
        HostError: the folder cannot be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / STATE).write_text(json.dumps(state, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise HostError(f"{out / STATE}: cannot be written: {error.strerror}") from None


def read_earlier(out: Path, state: Mapping[str, str], cell: Cell) -> dict[str, list[RecordedRun]]:
    """Read the answers of the search below `out`, by version; runs that were cut off are none.

    Raises:
        ConfigError: nothing was asked there, or something else: another cell, test, depth, matrix or commit.
    """
    path = out / STATE
    try:
        before = json.loads(path.read_text("utf-8"))
        problems = list(_compare(str(path), state, before))
    except FileNotFoundError:
        said = "no search was begun below this folder; start it without --continue, or name its --out"
        raise ConfigError([Problem(OPTION, 0, str(out), said)]) from None
    # AttributeError: JSON, but no object
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError([Problem(str(path), 0, "", f"cannot be read: {error}; start without {OPTION}")]) from None
    if problems:
        raise ConfigError(problems)
    told, _ = list_runs(list(_read_probes(out)), cell)
    # lists, since each answer is used once: the search may want a release's second boot, which is then made
    return {v: list(runs) for v, runs in group_runs([t for t in told if not _is_cut_off(t)]).items()}


def _read_probes(out: Path) -> Iterator[tuple[Path, list[Record]]]:
    """Read what every boot left; one that was killed while it wrote its first line left nothing."""
    for path in sorted((out / PROBES).glob("*.jsonl")):
        with suppress(ConfigError):
            yield path, read_records(path)


def _compare(path: str, state: Mapping[str, str], before: Mapping[str, str]) -> Iterator[Problem]:
    for key, now in state.items():
        if (then := str(before.get(key, ""))) != now:
            said = f"of that search: {then[:60] or 'none'}, of this one: {now[:60] or 'none'}"
            yield Problem(path, 0, key, f"{said}; its answers are none of this one: leave {OPTION} away")


def _is_cut_off(told: RecordedRun) -> bool:
    return any(r.interrupted for r in told.records if isinstance(r, End))
