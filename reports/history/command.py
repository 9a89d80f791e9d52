"""`glm-matrix history add|trend|flakes|baseline|bisect-start DIR`: answers from all earlier runs."""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.judging.status import ANSWERED_BAD, ANSWERED_GOOD, Status
from matrix.output.columns import format_table
from matrix.wording import count_words
from reports.compare.slower import BASELINE_LAUNCHES
from reports.evidence.by_cell import without_garbage_collection
from reports.evidence.defuse import defuse_line
from reports.history.baseline import MOST_RUNS, choose_runs, write_baseline
from reports.history.bisect import FirstBad, Tried, find_first_bad
from reports.history.collection import add_files
from reports.history.flakes import Flaky, find_flakes
from reports.history.forms import (
    DAY,
    FLAKE_HEAD,
    TREND_HEAD,
    format_markdown,
    make_flake_row,
    make_trend_row,
    sort_trends,
    tell_flakes,
    tell_trends,
)
from reports.history.index import iterate_distinct, list_refused, open_index
from reports.history.joining import read_places
from reports.history.trend import LAST, NumberTrend, read_trends

MESSAGE_CHARS: Final = 160
FORMS: Final = ("text", "json")
PAGES: Final = (*FORMS, "markdown", "html")
SAID: Final = 4_096  # texts


def add_parser(verbs: Any) -> None:
    """Add the verb and its verbs to the parser of `glm-matrix`."""
    own: argparse.ArgumentParser = verbs.add_parser("history", help="trends, flakes, baselines, first bad runs")
    inner = own.add_subparsers(dest="history_verb", required=True, metavar="VERB")
    add = _add_verb(inner, "add", "take sealed evidence into the directory, and index what is there")
    add.add_argument(
        "files",
        type=Path,
        nargs="*",
        metavar="EVIDENCE",
        help="evidence, or archives of it (NAME.tar.xz), to copy there",
    )
    trend = _add_verb(inner, "trend", "numbers over time, and whether the last is beyond the noise")
    trend.add_argument("--name", default="*", metavar="GLOB", help="numbers, e.g. wave_output_throughput (default all)")
    trend.add_argument(
        "--last", type=parse_positive, default=LAST, metavar="N", help="points of a line (default %(default)s)"
    )
    flakes = _add_verb(inner, "flakes", "tests that one plan answered both ways, with the bounds of their rates")
    bisect = _add_verb(inner, "bisect-start", "since when a test fails, and what changed then")
    bisect.add_argument(
        "--test", default="", metavar="WORD", help="part of a test's node id (default: every failing test)"
    )
    baseline = _add_verb(inner, "baseline", "choose green launches as evidence for --baseline")
    baseline.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write")
    baseline.add_argument(
        "--last", type=parse_positive, default=MOST_RUNS, metavar="N", help="runs of one cell (default %(default)s)"
    )
    for verb in (trend, flakes, baseline):
        verb.add_argument("--cells", default="*", metavar="GLOB", help="cells (default all)")
    for verb, forms in ((trend, PAGES), (flakes, PAGES), (bisect, FORMS)):
        verb.add_argument("--format", choices=forms, default="text", help="form of the answer (default %(default)s)")
    for verb in (trend, flakes):
        verb.add_argument(
            "--out", type=Path, metavar="FILE", help="write the answer here, and print its first line only"
        )


def _add_verb(inner: Any, name: str, text: str) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = inner.add_parser(name, help=text, description=text)
    verb.add_argument("folder", type=Path, metavar="DIR", help="the directory with evidence (.jsonl, .jsonl.gz)")
    return verb


def parse_positive(text: str) -> int:
    """Parse a whole number of at least 1.

    Raises:
        argparse.ArgumentTypeError: it is none, or more than anybody means.
    """
    if not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 10000, got {text!r}")
    return int(text)


def run_history(args: argparse.Namespace) -> int:
    """Answer one question.

    Raises:
        ConfigError: the directory or a file is wrong.
        HostError: the directory cannot be written to, or another writer does not end.
    """
    if args.history_verb == "add":
        for path in add_files(args.folder, args.files):
            sys.stdout.write(f"added {path.name}\n")
    # A trend of everything holds 200,000 points and no cycle.
    with open_index(args.folder) as connection, without_garbage_collection():
        for refused in list_refused(connection):
            sys.stderr.write(f"{refused}\n")
        _require_runs(args, connection)
        return ANSWERS[args.history_verb](args, connection)


def _require_runs(args: argparse.Namespace, connection: sqlite3.Connection) -> None:
    """Refuse a question that no run of the directory can be about: its answer would read like good news.

    Raises:
        ConfigError: no run is indexed, or none holds such a cell or test.
    """
    # Cells alone, unless a test is asked for: 160 jumps through the index, and not 4,300.
    cells = sorted(cell for (cell,) in iterate_distinct(connection, "results", ("cell",)))
    refused = len(list_refused(connection))
    if not cells:
        left = f"; {refused} left out, see above" if refused else ""
        message = f"no run with results is there{left}; expected sealed evidence: glm-matrix history add DIR EVIDENCE"
        raise ConfigError([Problem(str(args.folder), 0, "", message)])
    glob = getattr(args, "cells", "*")
    if not any(fnmatchcase(cell, glob) for cell in cells):
        raise ConfigError(
            [Problem("--cells", 0, repr(glob), f"no cell of these runs fits{suggest_nearest(glob, cells)}")]
        )
    if word := getattr(args, "test", ""):
        _require_test(connection, word)


def _require_test(connection: sqlite3.Connection, word: str) -> None:
    named = [nodeid for _, nodeid in iterate_distinct(connection, "results", ("cell", "nodeid"))]
    if not any(word in nodeid for nodeid in named):
        tests = {nodeid.partition("[")[0].rpartition("::")[2] for nodeid in named}
        raise ConfigError(
            [Problem("--test", 0, repr(word), f"no test of these runs fits{suggest_nearest(word, tests)}")]
        )


def _add_runs(args: argparse.Namespace, connection: sqlite3.Connection) -> int:
    (runs,) = connection.execute("SELECT count(*) FROM runs").fetchone()
    cells = sum(1 for _ in iterate_distinct(connection, "results", ("cell",)))
    (parts,) = connection.execute("SELECT count(DISTINCT run) FROM joined").fetchone()
    said = f", {parts} of them in parts (--continue)" if parts else ""
    counted = f"{count_words(runs, 'run')} of {count_words(cells, 'cell')}"
    sys.stdout.write(f"{args.folder}: {counted}{said}\n")
    return 0


def _trend(args: argparse.Namespace, connection: sqlite3.Connection) -> int:
    dated = args.format in ("json", "html")
    found = list(read_trends(connection, cells=args.cells, name=args.name, last=args.last, dated=dated))
    if not found:
        names = sorted(name for (name,) in connection.execute("SELECT DISTINCT name FROM numbers"))
        told = f"no number fits{suggest_nearest(args.name, names)}" if names else "these runs measured no number"
        raise ConfigError([Problem("--name", 0, repr(args.name), f"{told}")])
    match args.format:
        case "html":
            from reports.history.page import render_trend_page  # the page's library would take a tenth of every answer

            text = render_trend_page(found)
        case "markdown":
            text = format_markdown(tell_trends(found), TREND_HEAD, [[*make_trend_row(t)] for t in sort_trends(found)])
        case "json":
            text = _format_json(map(_trend_json, found))
        case _:
            text = _format_text(map(make_trend_row, found), TREND_HEAD)
    _hand_over(args.out, text, tell_trends, found)
    return 0


def _trend_json(trend: NumberTrend) -> Mapping[str, Any]:
    word, ratio = trend.judged
    points = [{"t": p.t, "run": p.run, "value": p.value, "fingerprint": p.fingerprint} for p in trend.points]
    own = {n: getattr(trend, n) for n in ("cell", "name", "conditions", "unit")}
    return {**own, "verdict": word, "ratio": ratio, "points": points}


def _flakes(args: argparse.Namespace, connection: sqlite3.Connection) -> int:
    found = find_flakes(connection, cells=args.cells)
    match args.format:
        case "html":
            from reports.history.page import render_flake_page

            text = render_flake_page(found)
        case "markdown":
            text = format_markdown(tell_flakes(found), FLAKE_HEAD, [[*make_flake_row(f)] for f in found])
        case "json":
            text = _format_json(map(_flake_json, found))
        case _:
            text = _format_text(map(make_flake_row, found), FLAKE_HEAD, "no flake")
    _hand_over(args.out, text, tell_flakes, found)
    return 0


def _flake_json(flaky: Flaky) -> Mapping[str, Any]:
    names = ("cell", "nodeid", "fingerprint", "failures", "tries", "rate", "bounds", "runs", "since")
    return {name: getattr(flaky, name) for name in names}


def _bisect(args: argparse.Namespace, connection: sqlite3.Connection) -> int:
    found = find_first_bad(connection, word=args.test)
    if not found:
        _require_answers(connection, args)
    if args.format == "json":
        sys.stdout.write(f"{json.dumps([_bad_json(bad) for bad in found], indent=1)}\n")
    else:
        sys.stdout.write("\n".join(line for bad in found for line in _say_bad(bad)) + "\n" if found else NO_FAILURE)
    return 0


def _require_answers(connection: sqlite3.Connection, args: argparse.Namespace) -> None:
    """Refuse to say that no test fails where none was answered: a host's error is no answer of an engine."""
    rows = connection.execute("SELECT DISTINCT nodeid, status FROM results").fetchall()
    statuses = {Status(status) for nodeid, status in rows if args.test in nodeid}
    if not statuses & (ANSWERED_GOOD | ANSWERED_BAD):
        said = ", ".join(sorted(statuses))
        message = f"no engine answered in these runs ({said}); run the cells again before you ask since when one fails"
        raise ConfigError([Problem(str(args.folder), 0, "", message)])


NO_FAILURE: Final = "no test fails in its last run\n"


def _say_bad(bad: FirstBad) -> Iterator[str]:
    yield defuse_line(bad.nodeid)
    yield f"  last good  {_say_tried(bad.good)}"
    yield f"  first bad  {_say_tried(bad.bad)}: {defuse_line(bad.bad.message, MESSAGE_CHARS)}"
    yield from (
        f"  changed    {n}: {defuse_line(a) or '-'} -> {defuse_line(b) or '-'}" for n, (a, b) in bad.changed.items()
    )
    failed = f"{bad.failures} failure{'s' if bad.failures != 1 else ''} in a row"
    yield f"  since then {failed}{f', and {bad.mixed} before the last good run' if bad.mixed else ''}"
    yield f"  next       {bad.next_step}"


def _say_tried(tried: Tried | None) -> str:
    return f"{tried.t[:DAY]} {tried.status} in run {tried.run}" if tried else "none in this history"


def _bad_json(bad: FirstBad) -> Mapping[str, Any]:
    def tried(each: Tried | None) -> Mapping[str, Any] | None:
        return {n: getattr(each, n) for n in ("run", "t", "status", "message", "what")} if each else None

    own = {n: getattr(bad, n) for n in ("cell", "nodeid", "failures", "mixed", "changed", "next_step")}
    return {**own, "good": tried(bad.good), "bad": tried(bad.bad)}


def _baseline(args: argparse.Namespace, connection: sqlite3.Connection) -> int:
    chosen = choose_runs(connection, cells=args.cells, most=args.last)
    if not chosen:
        message = "no cell fits that was green, measured speed and ran on a real engine: nothing to hold speed against"
        raise ConfigError([Problem("--cells", 0, repr(args.cells), message)])
    count = write_baseline(args.folder, read_places(connection), chosen, args.out)
    few = [each for each in chosen if not each.enough]
    for each in few:
        had = count_words(len(each.runs), "launch", "es")
        sys.stdout.write(f"{each.cell}: {had}: too few to judge speed by, which takes {BASELINE_LAUNCHES}\n")
    sys.stdout.write(f"{args.out}: {count_words(len(chosen), 'cell')}, {count_words(count, 'record')}\n")
    return 0


def _format_json(data: Iterable[Any]) -> str:
    return json.dumps([*data], indent=1) + "\n"


def _format_text(rows: Iterable[Iterable[str]], head: Sequence[str], nothing: str = "") -> str:
    say = lru_cache(SAID)(defuse_line)  # cells, names and conditions stand in many rows
    shown = [[*map(say, row)] for row in rows]
    return f"{format_table(shown, tuple(head)) if shown else nothing}\n"


def _hand_over(out: Path | None, text: str, tell: Callable[[Any], str], found: Any) -> None:
    """Print the answer, or write it and print its headline."""
    if out is None:
        sys.stdout.write(text)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8", errors="replace")
    sys.stdout.write(f"{tell(found)}\n{out}\n")


ANSWERS: Final[Mapping[str, Callable[[argparse.Namespace, sqlite3.Connection], int]]] = {
    "add": _add_runs,
    "trend": _trend,
    "flakes": _flakes,
    "bisect-start": _bisect,
    "baseline": _baseline,
}
