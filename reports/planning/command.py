"""Plan a run: which launches, in which order, how long, and what is left out. Starts nothing.

Cells with one fingerprint share a launch. Before a big checkpoint goes a canary with the same features, then the plan
with made-up weights where the engine can do that, so that what cannot work never loads 300 GB. Each duration is
measured (--evidence), derived or expected, and says so.

In a pull request: --pairwise --changed-since main. At night: everything, with --budget where the night is short.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError, HostError, Problem
from matrix.model import Cell
from matrix.output.command_line import CommandLine
from matrix.planning.owed import DEPTHS
from matrix.scheduling.budget import cut_to_budget
from matrix.scheduling.durations import DEFAULT_DISK, Disk
from matrix.scheduling.groups import TIERS, Grouped, GroupingRequest, LeftOut, group_cells
from matrix.scheduling.pairwise import cover_pairs
from matrix.scheduling.place import MachineKind
from matrix.scheduling.run_plan import RunPlan, dump_run_plan, find_machine, make_run_plan
from matrix.yaml.load import digest_of, load_matrix
from matrix.yaml.loaded import Matrix
from reports.evidence.files import read_records
from reports.evidence.source_state import read_commit
from reports.evidence.types import Record
from reports.gate.origin import Today
from reports.gate.policy import load_policy
from reports.history.index import find_evidence
from reports.planning import quantities
from reports.planning.changes import find_changed
from reports.planning.render import render_plan
from reports.planning.resume import RERUNS, Now, Rerun, judge_progress, list_commands
from reports.planning.selection import add_options, read_depth, select_cells
from reports.planning.timed import time_records

UNCHANGED: Final = "nothing that it is launched, described or asked by differs from {}"
DONE: Final[Mapping[Rerun, str]] = {
    "failed": "nothing of it failed",
    "missing": "nothing of it is missing",
    "stale": "nothing of it is stale",
    "all": "it is done",
}
COVERED: Final = "each pair of its axis values is shown by a cell that is run; a night runs all"


def make_parser() -> argparse.ArgumentParser:
    own = CommandLine(prog="glm-matrix plan", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = own.add_argument_group("which cells")
    add_options(what.add_argument)
    what.add_argument("--depth", choices=DEPTHS, help="how much is asked (default: the policy's, else quick)")
    what.add_argument("--changed-since", metavar="REV", help="only cells that differ from this commit, tag or branch")
    what.add_argument("--pairwise", action="store_true", help="few cells that show every pair of axis values")
    what.add_argument(
        "--budget",
        type=quantities.parse_duration,
        metavar="TIME",
        help="what fits into this time, e.g. 8h; new pairs come first",
    )
    what.add_argument(
        "--evidence",
        nargs="+",
        action="extend",
        type=Path,
        default=[],
        metavar="FILE",
        help="earlier runs, files or folders: how long launches took, and with --rerun what is done",
    )
    what.add_argument(
        "--rerun",
        choices=RERUNS,
        help="only cells of which something is not done in --evidence, by the gate's rules: failed, missing (the run"
        " was cut short), stale (of another commit, matrix, plan, engine, driver), or all of these",
    )
    how = own.add_argument_group("on what")
    how.add_argument(
        "--tiers", nargs="+", choices=TIERS, default=list(TIERS), help="what may be launched (default: all)"
    )
    how.add_argument("--gpus", type=quantities.parse_count, metavar="N", help="GPUs of a machine (default: the rig's)")
    how.add_argument("--hosts", type=quantities.parse_count, default=1, metavar="N", help="equal machines (default: 1)")
    how.add_argument(
        "--memory", type=quantities.parse_size, metavar="SIZE", help="of a machine, for its page cache, e.g. 1.5TB"
    )
    how.add_argument("--read-speed", type=quantities.parse_rate, metavar="SPEED", help="of cold weights, e.g. 5GB/s")
    how.add_argument("--price", type=quantities.parse_price, metavar="N", help="of a GPU-hour, in your currency")
    own.add_argument(
        "--json", action="store_true", help="as JSON: groups, tiers, estimates, timeline, what is left out"
    )
    own.add_argument("--wide", action="store_true", help="one line for each launch")
    own.add_argument(
        "--words", action="store_true", help="only the words that start it here: pytest $(glm-matrix plan --words ...)"
    )
    return own


def main(words: Sequence[str] | None = None, read_driver: Callable[[], str] = str) -> int:
    """Exit codes: 0 planned, 1 nothing is left to plan, 2 bad input. `read_driver` reads this host's, "": none."""
    options = make_parser().parse_args(words)
    try:
        plan = plan_run(load_matrix(), options, read_driver)
    except (ConfigError, HostError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if options.json:
        sys.stdout.write(f"{json.dumps(dump_run_plan(plan))}\n")
    elif options.words:
        sys.stdout.write(f"{' '.join(list_words(plan))}\n")
    else:
        sys.stdout.write(f"{render_plan(plan, wide=options.wide, price=options.price)}\n")
    return 0 if plan.groups else 1  # no error, and nothing to start: a script can tell it from a plan


def list_words(plan: RunPlan) -> list[str]:
    """List pytest's words for the cells that are asked, without tiers; an id of a cell needs no quotes in a shell."""
    # Tiers are launches of a plan's own, canaries and made-up weights, which pytest does not know by these words.
    cells = dict.fromkeys(c for g in plan.groups if g.asked for c in g.cells)
    return ["--cells", *cells, "--depth", plan.depth]


def plan_run(matrix: Matrix, options: argparse.Namespace, read_driver: Callable[[], str] = str) -> RunPlan:
    """Plan what the options select.

    Raises:
        ConfigError: an option names what does not exist. HostError: git cannot be asked.
    """
    depth = options.depth or read_depth(options.policy)
    options.evidence = [
        file for path in options.evidence for file in (find_evidence(path) if path.is_dir() else [path])
    ]
    files = [(path, read_records(path)) for path in options.evidence]
    chosen = narrow_cells(matrix, options)
    # After the narrowing: what is done is judged of the cells that are wanted, by evidence that may hold others.
    if options.rerun:
        chosen = keep_unfinished(matrix, chosen, options, [r for _, own in files for r in own], read_driver())
    asked = GroupingRequest(depth=depth, tiers=options.tiers, timed=time_records(files), disk=_read_disk(options))
    grouped = group_cells(matrix, chosen.cells, asked)
    schedule = _Scheduler(matrix=matrix, options=options, asked=asked, chosen=chosen)
    # Last, since what fits depends on how the groups share machines, not on the sum of their durations.
    if options.budget:
        by_id = {c.id: c for c in chosen.cells}
        grouped = cut_to_budget(grouped, by_id, options.budget, lambda g: schedule(g).makespan_s)
    return schedule(grouped)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenCells:
    """The cells that are planned, and those that are not."""

    cells: Sequence[Cell]
    left_out: tuple[LeftOut, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict)  # cell -> why it is asked
    commands: tuple[str, ...] = ()  # that ask what evidence lacks

    def keep(self, cells: Sequence[Cell], why: str, by: Any) -> ChosenCells:
        """Return the same with these cells alone; the others are left out for the reason."""
        kept = set(cells)
        gone = tuple(c.id for c in self.cells if c not in kept)
        left = (*self.left_out, LeftOut(cells=gone, why=why, by=by)) if gone else self.left_out
        return replace(self, cells=list(cells), left_out=left)


def narrow_cells(matrix: Matrix, options: argparse.Namespace) -> ChosenCells:
    """Select cells, then leave out what did not change and what pairs do not need."""
    chosen = ChosenCells(cells=select_cells(matrix, options))
    if revision := options.changed_since:
        changed = find_changed(matrix, chosen.cells, revision)
        chosen = chosen.keep(changed.keep_changed(chosen.cells), UNCHANGED.format(revision), "unchanged")
        chosen = replace(chosen, why=changed.why)
    if options.pairwise:
        chosen = chosen.keep(cover_pairs(chosen.cells), COVERED, "pairwise")
    return chosen


def keep_unfinished(
    matrix: Matrix, chosen: ChosenCells, options: argparse.Namespace, records: Sequence[Record], driver: str
) -> ChosenCells:
    """Keep the cells of which something is to be asked again.

    Raises:
        ConfigError: no evidence is given.
    """
    if not options.evidence:
        raise ConfigError([Problem("--rerun", 0, options.rerun, "of which runs? name them with --evidence FILE")])
    # A policy's own rules (age, what is accepted) decide what is done; without one, green does.
    rule = load_policy(options.policy)[0] if options.policy else None
    today = Today(commit=read_commit(CHECKOUT), matrix_sha256=digest_of(matrix.root))
    depth = options.depth or read_depth(options.policy)
    now = Now(today=today, depth=depth, moment=datetime.now(UTC), policy=rule, driver=driver)
    found = judge_progress(matrix, chosen.cells, records, now)
    why = {p.cell: said for p in found if (said := p.wanted(options.rerun))}
    kept = chosen.keep([c for c in chosen.cells if c.id in why], DONE[options.rerun], "evidence")
    return replace(kept, why=why, commands=tuple(list_commands(found, options.rerun, options.evidence)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scheduler:
    """Makes a plan of groups on the machines that the options describe."""

    matrix: Matrix
    options: argparse.Namespace
    asked: GroupingRequest
    chosen: ChosenCells

    def __call__(self, grouped: Grouped) -> RunPlan:
        digest = digest_of(self.matrix.root)
        # By GPU model: launches of two models never share a machine, so each model has a schedule of its own.
        machines = {g.gpu: self._make_machine(grouped, g.gpu) for g in grouped.groups}
        made = make_run_plan(grouped, machines, matrix_sha256=digest, depth=self.asked.depth, more=self.chosen.left_out)
        why = {c: self.chosen.why[c] for c in made.cells if c in self.chosen.why}
        return replace(made, why=why, commands=self.chosen.commands if made.groups else ())

    def _make_machine(self, grouped: Grouped, gpu: str) -> MachineKind:
        o = self.options
        found = find_machine((g for g in grouped.groups if g.gpu == gpu), count=o.hosts, memory_bytes=o.memory)
        # --gpus is of GPUs; a cell of the CPU rig has a host, whatever is said of them.
        return replace(found, slots=o.gpus) if o.gpus and gpu != "cpu" else found


def _read_disk(options: argparse.Namespace) -> Disk:
    if not options.read_speed:
        return DEFAULT_DISK
    return Disk(cold_bps=options.read_speed, source=f"{options.read_speed / 1e9:g} GB/s, as you said", stated=True)
