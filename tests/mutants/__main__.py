"""`python -m tests.mutants take [I/N] [GLOB...] [--without SCORE]`, `... run I/N` and `... merge FILE... [--out FILE]`

A share of mutmut's changes on one machine, and what several machines found as one score. `run` makes and tries one
share from nothing. For `take` mutmut must have made its changes before (any `mutmut run GLOB` does); run it again after
each run of mutmut: it saves what was tried.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from matrix.checkout import CHECKOUT
from matrix.output.markdown import format_markdown_table
from tests.mutants.make import run_share
from tests.mutants.shard import (
    Share,
    count_results,
    list_whole_modules,
    merge_results,
    read_results,
    take_share,
)
from tests.mutation.table import read_commit

HEAD = ("module", "killed", "timeout", "survived", "without a test", "other", "not run")
LEAST_SURVIVORS = 10  # that a module has which the table names


def main(argv: list[str] | None = None) -> int:
    options = _options(argv)
    try:
        return VERBS[options.verb](options)
    except (ValueError, OSError) as error:
        print(f"tests.mutants: {error}", file=sys.stderr)
        return 2


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    take = verbs.add_parser("take", help="keep a share to be tried, and move what was tried to mutants/results.json")
    take.add_argument(
        "share", nargs="?", type=_share, default=(1, 1), metavar="I/N", help="the I-th of N (default 1/1)"
    )
    take.add_argument("globs", nargs="*", metavar="GLOB", help="of these changes only, e.g. 'reports.gate.*'")
    take.add_argument("--without", type=Path, metavar="SCORE", help="leave modules out that this score has whole")
    take.add_argument("--mutants", type=Path, default=CHECKOUT / "mutants", metavar="DIR", help="mutmut's folder")
    run = verbs.add_parser("run", help="make and try the changes of one share alone, in an empty mutants/ (see `make`)")
    run.add_argument("share", type=_share, metavar="I/N", help="the I-th of N")
    run.add_argument("globs", nargs="*", metavar="GLOB", help="of these changes only, e.g. 'reports.gate.*'")
    run.add_argument("--max-children", type=int, metavar="N", help="at once (default: one for each core)")
    merge = verbs.add_parser("merge", help="add results of one commit up, print the table and the survivors")
    merge.add_argument("files", nargs="+", type=Path, metavar="FILE", help="results.json of each machine")
    merge.add_argument("--out", type=Path, metavar="FILE", help="write the score and each survivor's name there")
    return parser.parse_args(argv)


def _share(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise argparse.ArgumentTypeError(f"expected a share such as 2/4, got {text!r}")
    return int(index), int(count)


def _take(options: argparse.Namespace) -> int:
    if not any(options.mutants.rglob("*.meta")):
        raise ValueError(f"{options.mutants} holds no changes: `mutmut run 'matrix.condition.*'` makes them")
    whole = list_whole_modules(json.loads(options.without.read_text("utf-8"))) if options.without else []
    index, count = options.share
    share = Share(index=index, count=count, globs=tuple(options.globs) or ("*",), whole=frozenset(whole))
    results, left = take_share(options.mutants, share, read_commit())
    print(
        f"{len(results.codes)} of {sum(results.changes.values())} changes were tried here; {left} of the share are left"
    )
    return 0


def _run(options: argparse.Namespace) -> int:
    index, count = options.share
    run_share(Share(index=index, count=count, globs=tuple(options.globs) or ("*",)), options.max_children)
    return 0


def _merge(options: argparse.Namespace) -> int:
    results = merge_results(map(read_results, options.files))
    modules = count_results(results)
    whole = {name: sum(ends[name] for ends in modules.values()) for name in next(iter(modules.values()))}
    shown = [(m, *e.values()) for m, e in modules.items() if e["survived"] >= LEAST_SURVIVORS]
    print(format_markdown_table(HEAD, [*shown, ("**together**", *whole.values())]))
    if options.out:
        survivors = sorted(name for name, code in results.codes.items() if code == 0)
        score: dict[str, Any] = {"commit": results.commit, "changes": sum(results.changes.values())}
        score |= {"tried": len(results.codes), "whole": whole, "modules": modules, "survivors": survivors}
        options.out.write_text(json.dumps(score, indent=1) + "\n", encoding="utf-8")
    return 0


VERBS: Final = {"take": _take, "run": _run, "merge": _merge}


if __name__ == "__main__":
    raise SystemExit(main())
