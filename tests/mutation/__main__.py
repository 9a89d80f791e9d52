"""`python -m tests.mutation [--on stub|proxy|both] [--only faults|healthy] [--faults GLOB...] [--named] [--seeds N]`

Exit 0: every fault was noticed by every suite test it names, and no healthy engine was failed. Exit 1 otherwise.
"""

from __future__ import annotations

import argparse
import fnmatch
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from matrix.errors import suggest_nearest
from tests.faults.catalogue.table import FAULTS
from tests.faults.stub.table import DEFECTS
from tests.mutation.kill import blind, healthy_real, healthy_stub, proxy_row, stub_row, to_stderr
from tests.mutation.row import Healthy, Row
from tests.mutation.table import Report, as_json, counts, page, read, report, with_earlier
from tests.mutation.target import Real, launched, proxied

PAGE = "kill-table.md"
STUB_SEEDS, REAL_SEEDS = 200, 20
STOPS = (signal.SIGINT, signal.SIGTERM)


def main(argv: list[str] | None = None) -> int:
    options = _options(argv)
    if options.merge:
        return _merge(options.merge, options.out)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)  # now, and not after hours
    _no_seed_twice(options)
    bad: list[bool] = []
    for number in STOPS:  # SIGINT too: shells start background jobs without it
        signal.signal(number, _stop)
    targets = ("stub", "proxy") if options.on == "both" else (options.on,)
    parts = ("faults", "healthy") if options.only is None else (options.only,)
    try:
        for target in targets:
            made = _stub(options, parts) if target == "stub" else _proxy(options, parts)
            bad += [
                _told(one, options.out, adds=bool(options.faults or (options.seeds and options.seeds.start)))
                for one in made
            ]
    except KeyboardInterrupt:
        to_stderr("interrupted: the engine was stopped; what was finished is written")
        return 130
    return int(any(bad))


def _stop(*_: object) -> NoReturn:
    """Stop once: a second signal, as a group and its script get, took what the first one was about to write."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _merge(folders: Sequence[Path], out: Path | None) -> int:
    """Add the reports that processes of their own left, each in a folder of its own, to those of `out`."""
    if out is None:
        raise SystemExit("--merge writes one report of several: name the folder with --out DIR")
    bad = []
    for folder in folders:
        if not (files := sorted(folder.glob("*-*.json"))):
            raise SystemExit(f"{folder}: holds no report of this program (stub-faults.json, proxy-healthy.json, ...)")
        for file in files:
            try:
                bad += [_told(read(file.read_text("utf-8")), out, adds=True)]
            except ValueError as error:
                raise SystemExit(f"{file}: {error}") from None
    return int(any(bad))


def _told(made: Report, out: Path | None, *, adds: bool) -> bool:
    """Print and write one report; True when it holds a survivor or a false alarm."""
    runs = sum(h.runs for h in made.healthy)
    known = f", {made.as_known} tests failed as known" if made.as_known else ""
    told = counts(made.rows) if made.rows else f"{made.alarms} false alarms, {runs} healthy runs"
    print(f"{made.target}: {told}{known}")
    for row in made.survivors:
        print(f"  SURVIVED {row.fault}: not noticed by {', '.join(row.missed_by) or 'anybody'}")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        file = out / f"{made.target}-{made.part}.json"
        if adds and file.exists():
            made = with_earlier(made, read(file.read_text("utf-8")))
        file.write_text(as_json(made), encoding="utf-8")
        (out / PAGE).write_text(page(read(p.read_text("utf-8")) for p in sorted(out.glob("*.json"))), encoding="utf-8")
    return bool(made.survivors or made.alarms)


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--on", choices=("stub", "proxy", "both"), default="both")
    parser.add_argument(
        "--faults", nargs="+", metavar="GLOB", help="only these, e.g. 'mtp_*'; --out keeps the others' rows"
    )
    parser.add_argument(
        "--seeds",
        type=_seeds,
        metavar="N|A-B",
        help=f"healthy runs: N of them (default {STUB_SEEDS} on the stub, {REAL_SEEDS} on the engine), or those from A "
        "to B, which --out adds to the runs that are there",
    )
    parser.add_argument("--only", choices=("faults", "healthy"), help="one half of the work")
    parser.add_argument(
        "--every", action="store_true", help="ask every test of every proxy fault, not only the named ones"
    )
    parser.add_argument(
        "--named", action="store_true", help="ask only the tests that each stub defect names, no others"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write JSON and the page there")
    parser.add_argument(
        "--merge",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="run nothing: add the reports of these folders, of runs side by side or elsewhere, to those of --out",
    )
    return parser.parse_args(argv)


def _seeds(text: str) -> range:
    first, dash, last = text.partition("-")
    return range(int(first), int(last) + 1) if dash else range(int(first))


def _stub(options: argparse.Namespace, parts: Iterable[str]) -> Iterator[Report]:
    for part in parts:
        if part == "faults":
            names = _named(DEFECTS, options.faults)
            yield from _faults("stub", names, lambda n: stub_row(n, every=not options.named))
        else:
            yield from _healthy("stub", options.seeds or range(STUB_SEEDS), [healthy_stub])


def _proxy(options: argparse.Namespace, parts: Iterable[str]) -> Iterator[Report]:
    with (
        tempfile.TemporaryDirectory() as logs,
        launched(Path(logs)) as (asked, engine),
        proxied(asked, engine) as (proxy, real),
    ):
        for part in parts:
            if part == "faults":
                names = _named(FAULTS, options.faults)
                real.blind = blind(real, names, every=options.every)
                yield from _faults("proxy", names, lambda n: proxy_row(n, proxy, real, every=options.every))
            else:
                direct = partial(healthy_real, "llama.cpp, direct", Real(asked, engine, engine.base_url))
                piped = partial(healthy_real, "llama.cpp, through the proxy without a fault", real)
                yield from _healthy("proxy", options.seeds or range(REAL_SEEDS), [direct, piped])


def _no_seed_twice(options: argparse.Namespace) -> None:
    """Said before hours are spent: runs that are to be added must be of other seeds."""
    adds = options.out and options.seeds and options.seeds.start
    asked = "*" if options.on == "both" else options.on
    for file in sorted(options.out.glob(f"{asked}-healthy.json")) if adds else ():
        for healthy in read(file.read_text("utf-8")).healthy:
            if shared := sorted(set(options.seeds) & set(healthy.seeds)):
                raise SystemExit(f"{file}: seeds {shared} were run before ({healthy.on}); ask for others")


def _named(table: Iterable[str], globs: Sequence[str] | None) -> list[str]:
    """Return the faults that any of the globs names; a glob that names none is a slip of the pen."""
    names = list(table)
    for glob in globs or ():
        if not fnmatch.filter(names, glob):
            raise SystemExit(f"no fault matches {glob!r}{suggest_nearest(glob, names)}")
    return [n for n in names if globs is None or any(fnmatch.fnmatch(n, g) for g in globs)]


def _faults(target: str, names: Iterable[str], row_of: Callable[[str], Row]) -> Iterator[Report]:
    """One report; when interrupted, of the rows so far, which is then said and written as any other."""
    began, rows, stopped = time.monotonic(), list[Row](), False
    try:
        for row in _said(row_of(n) for n in names):
            rows.append(row)
    except KeyboardInterrupt:
        stopped = True
    yield report(target, "faults", _command(), rows=rows, wall_s=time.monotonic() - began)
    if stopped:
        raise KeyboardInterrupt


def _healthy(target: str, seeds: range, runs: Sequence[Callable[[int], Healthy]]) -> Iterator[Report]:
    """One report; when interrupted, of the seeds so far, which is then said and written as any other."""
    began, made, stopped = time.monotonic(), dict[str, Healthy](), False
    try:
        for seed in seeds:
            for one in [run(seed) for run in runs]:  # of a seed that was not finished, nothing
                made[one.on] = one.and_earlier(made[one.on]) if one.on in made else one
            to_stderr(f"  {target}, seed {seed}: {', '.join(f'{len(m.alarms)} false alarms' for m in made.values())}")
    except KeyboardInterrupt:
        stopped = True
    yield report(target, "healthy", _command(), healthy=[*made.values()], wall_s=time.monotonic() - began)
    if stopped:
        raise KeyboardInterrupt


def _said(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        missed = f", not by {', '.join(row.missed_by)}" if row.missed_by else ""
        by = f"by {len(row.killed_by)} of {len(row.asked)}{missed} ({row.wall_s:.1f} s)"
        to_stderr(f"{row.on.split('.')[0]:5} {row.fault:34} {row.verdict:9} {by}")
        yield row


def _command() -> str:
    return " ".join(["python -m tests.mutation", *sys.argv[1:]])


if __name__ == "__main__":
    raise SystemExit(main())
