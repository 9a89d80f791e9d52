"""bisect: which release is the first bad one for a cell, and which setting matters, at a stated confidence.

bisect CELL --good sglang==0.5.17 --bad sglang==0.5.23 --dry-run          what changed, what would be asked
bisect CELL --good 0.5.17 --bad 0.5.23 --test TEST                        boots the engine, release by release
bisect CELL --good 0.5.17 --bad 0.5.23 --test TEST --evidence runs/       answers from runs that exist, no engine
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cli.bisecting.ending import Regression, Written, write_ending
from cli.bisecting.interrupted import make_state, read_earlier, write_state
from cli.bisecting.launching import Launching
from cli.bisecting.observed import FailureShape, Observed, list_shapes
from cli.bisecting.options import ALL, make_bisect_parser
from cli.bisecting.recorded import Playback, RecordedRun, RecordedRuns, list_files, read_recording
from cli.bisecting.words import BisectReport, as_data, as_step, say_report, say_steps
from fixtures.host.detected import detect_host
from matrix.bisecting.delta import Smallest, find_smallest
from matrix.bisecting.flake_model import FlakeModel
from matrix.bisecting.posterior import Answer, Tally, make_prior
from matrix.bisecting.releases import list_between, list_known, place_cell, read_end, require_range
from matrix.bisecting.search import BisectVerdict, Search, TryReply, expect_boots, find_first_bad, judge_answers
from matrix.bisecting.settings import Unit, list_units
from matrix.bisecting.steps import ReleaseStep, compare_steps
from matrix.errors import ConfigError, HostError, Problem, suggest_nearest
from matrix.model import Cell
from matrix.planning.owed import Depth, OwedItem, read_owed
from matrix.upgrading.of_cells import find_cell
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix
from reports.evidence.defuse import defuse_line

FOUND, NOT_SO, UNDECIDED, INTERRUPTED = 0, 1, 3, 130


def make_parser() -> argparse.ArgumentParser:
    return make_bisect_parser(__doc__ or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectQuestion:
    """What is asked, read from the command line."""

    matrix: Matrix
    cell: Cell
    items: tuple[OwedItem, ...]
    test: str
    search: Search
    steps: tuple[ReleaseStep, ...]
    options: argparse.Namespace

    @property
    def asked(self) -> str:
        return self.test or ALL


def main(words: Sequence[str] | None = None) -> int:
    """Exit codes: 0 found, 1 an end of the range is not what it was said to be, 2 bad input, 3 not decided."""
    options = make_parser().parse_args(words)
    if options.dry_run:
        question = read_question(options, ())
        return _print_plan(question)
    # first the evidence: its runs name versions that no snapshot knows, and they belong on the line to be searched
    recording = _read_recording(options)
    question = read_question(options, tuple(recording.runs) if recording else ())
    if not options.json:
        sys.stdout.write("\n".join([*say_steps(question.steps, question.cell.engine.id), ""]) + "\n")
        # a search boots for hours: what changed must be on the screen before the first of them
        sys.stdout.flush()
    report = _bisect_recorded(question, recording) if recording else _bisect_launching(question)
    text = json.dumps(as_data(report), indent=1) if options.json else "\n".join(say_report(report))
    sys.stdout.write(f"{text}\n")
    if report.interrupted:
        return INTERRUPTED
    # --dry-run came back above: a word that is neither found nor undecided is an end that is not as it was named
    return {"found": FOUND, "undecided": UNDECIDED}.get(report.verdict.word, NOT_SO)


def _read_recording(options: argparse.Namespace) -> RecordedRuns | None:
    if not options.evidence:
        return None
    return read_recording(list_files(options.evidence), find_cell(load_matrix(), options.cell))


def read_question(options: argparse.Namespace, seen: Sequence[str]) -> BisectQuestion:
    """Read the command line. `seen`: versions of the evidence.

    Raises:
        ConfigError: the cell, a release, the test or a rate is wrong.
    """
    matrix = load_matrix()
    cell = find_cell(matrix, options.cell)
    named = [text for text in options.releases.replace(",", " ").split() if text]
    known = list_known(matrix, cell.engine.id, [*named, *seen])
    good, bad = (read_end(t, w, cell.engine.id, known) for t, w in ((options.good, "--good"), (options.bad, "--bad")))
    require_range(good, bad)
    versions = list_between(known, good, bad)
    items = choose_items(cell, options.test, options.depth)
    steps = compare_steps(matrix, cell, versions)
    search = Search(
        releases=versions,
        prior=make_prior([s.weight for s in steps]),
        model=_read_model(options),
        confidence=options.confidence,
    )
    # from here on the full name: --continue compares it, and a part of a name would look like another search
    test = items[0].test if options.test else ""
    return BisectQuestion(matrix=matrix, cell=cell, items=items, test=test, search=search, steps=steps, options=options)


def _read_model(options: argparse.Namespace) -> FlakeModel:
    try:
        return FlakeModel(options.fails_at_least, options.false_alarms)
    except ValueError as error:
        raise ConfigError([Problem("--fails-at-least, --false-alarms", 0, "", str(error))]) from None


def choose_items(cell: Cell, test: str, depth: Depth) -> tuple[OwedItem, ...]:
    """Choose what is asked of the cell: one test by its name or a part of it, else all that it owes.

    Raises:
        ConfigError: no test of the cell at this depth, or several, are called so.
    """
    owed = read_owed().asked_of(cell, depth)
    # a full name wins over a part: test_needle must not be refused because test_needle_twice holds it
    fitting = [i for i in owed if i.test == test] or [i for i in owed if test in i.pattern]
    names = sorted({i.test for i in fitting})
    if not fitting:
        later = next((i.from_depth for i in read_owed().items if test in i.pattern), "")
        hint = (
            f"; it is asked from --depth {later} on"
            if later and later != depth
            else suggest_nearest(test, [i.test for i in owed])
        )
        raise ConfigError([Problem("--test", 0, repr(test), f"{cell.id} owes no such test at depth {depth}{hint}")])
    if test and len(names) > 1:
        raise ConfigError([Problem("--test", 0, repr(test), f"several tests are called so: {', '.join(names)}")])
    return tuple(fitting)


def _print_plan(question: BisectQuestion) -> int:
    search, options = question.search, question.options
    boots = expect_boots(search, Tally.of(len(search.releases)))
    if options.json:
        data = {
            "cell": question.cell.id,
            "asked": question.asked,
            "releases": list(search.releases),
            "expected_boots": boots,
            "steps": [as_step(s) for s in question.steps],
            # the prior also weighs "the good end fails" and "none fails"; only what lies between belongs to a release
            "prior": dict(zip(search.releases[1:], search.prior[1:-1], strict=True)),
        }
        sys.stdout.write(f"{json.dumps(data, indent=1)}\n")
        return FOUND
    lines = [*say_steps(question.steps, question.cell.engine.id), "", f"{question.cell.id}: {question.asked}"]
    lines.append(
        f"about {boots} boots of {len(search.releases)} releases to a confidence of {search.confidence:g}, where a bad"
        f" release fails at least {search.model.fails:g} and a good one at most {search.model.alarm:g} of the time"
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return FOUND


@dataclass(slots=True, kw_only=True)
class Asking:
    """Asks one release after the other, keeps what was told, and says how far it is."""

    question: BisectQuestion
    boot: Callable[[str], tuple[Observed, RecordedRun | None, bool]]
    set_shape: Callable[[FailureShape], None]
    told: list[tuple[RecordedRun, Observed]] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)
    shape: FailureShape | None = None
    began: float = field(default_factory=time.monotonic)
    count: int = 0
    tally: Tally | None = None  # after the last answer

    def ask(self, place: int) -> TryReply:
        """Ask the release at a place once. The first failure of the bad end is the one that is searched for."""
        version = self.question.search.releases[place]
        observed, told, last = self.boot(version)
        self.count += 1
        if told is not None:
            self.told.append((told, observed))
        if observed.answer == "none":
            self.silent[version] = observed.why
        if observed.answer == "bad" and self.shape is None and observed.shape is not None:
            self.shape = observed.shape
            self.set_shape(observed.shape)
        self._say(f"{version}: {observed.answer} ({observed.why})")
        return TryReply(observed.answer, last=last)

    def tell(self, tally: Tally) -> None:
        """Say what is likely now, and about how long the rest takes."""
        self.tally = tally
        search = self.question.search
        verdict = judge_answers(search, tally)
        name = " or ".join(verdict.first_bad) or "none"
        boots = expect_boots(search, tally)
        # the mean over all boots so far: loads of one checkpoint differ less among releases than a forecast could tell
        each = (time.monotonic() - self.began) / self.count
        rest = f"; about {boots} more boots, {_say_time(boots * each)}" if boots else ""
        self._say(f"  first bad: {name} ({verdict.probability:.3f}){rest}")

    def _say(self, text: str) -> None:
        sys.stderr.write(f"[{self.count}] {defuse_line(text)}\n")


def _say_time(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


def _bisect_recorded(question: BisectQuestion, recording: RecordedRuns) -> BisectReport:
    playback = Playback(recording=recording, test=question.test)
    first = recording.runs.get(question.search.releases[0], ())
    # the good release's own failures were there before: with every test asked, they would end the search at once
    if first and not question.test:
        playback.ignored = list_shapes(first[0].records, first[0].cell)
    asking = Asking(question=question, boot=playback.ask, set_shape=lambda shape: setattr(playback, "wanted", shape))
    tally = _search(question, asking)
    report = _make_report(question, asking, tally, left_out=recording.left_out)
    return replace(report, written=_end(question, asking, report))


def _bisect_launching(question: BisectQuestion) -> BisectReport:
    cell, options = question.cell, question.options
    if cell.rig.id not in detect_host().find_rigs([cell.rig]):
        raise HostError(
            f"this host is not {cell.rig.id} ({detect_host().describe()}), so nothing can be booted here. Ask runs that"
            " exist with --evidence, look with --dry-run, or run this on such a host"
        )
    launching = Launching(
        matrix=question.matrix,
        cell=cell,
        out=options.out,
        items=question.items,
        depth=options.depth,
        test=question.test,
    )

    def boot(version: str) -> tuple[Observed, RecordedRun | None, bool]:
        # never the last try: a release can always be booted again, unlike runs of evidence, which are used up
        return (*launching.boot(version), False)

    asking = Asking(question=question, boot=boot, set_shape=lambda shape: setattr(launching, "wanted", shape))
    state = make_state(cell.id, question.test, options.depth)
    if options.resumed:
        launching.earlier = read_earlier(options.out, state, cell)
    # before the first boot, so that a search that is killed during it can be gone on with
    write_state(options.out, state)
    if not question.test:  # what fails on the good release is not what is searched for
        _, told = launching.boot(question.search.releases[0])
        launching.ignored = list_shapes(told.records, told.cell) if told else frozenset()
    report = _make_report(question, asking, Tally.of(len(question.search.releases)))
    try:
        report = _make_report(question, asking, _search(question, asking))
        if report.verdict.word == "found" and not options.no_settings:
            report = replace(report, smallest=_reduce(question, launching, report, options.boots - launching.count))
    except KeyboardInterrupt:  # the engine has been stopped; hours of boots are told, and can be gone on with
        report = replace(_make_report(question, asking, asking.tally or report.tally), interrupted=True)
    return replace(report, written=_end(question, asking, report))


def _search(question: BisectQuestion, asking: Asking) -> Tally:
    last = len(question.search.releases) - 1
    # the bad end first: its failure gives the shape that every other release is asked for
    return find_first_bad(question.search, asking.ask, question.options.boots, asking.tell, first=last)


def _make_report(
    question: BisectQuestion, asking: Asking, tally: Tally, left_out: tuple[str, ...] = ()
) -> BisectReport:
    return BisectReport(
        cell=question.cell.id,
        engine=question.cell.engine.id,
        asked=question.asked,
        search=question.search,
        steps=question.steps,
        tally=tally,
        shape=str(asking.shape or ""),
        silent=asking.silent,
        left_out=left_out,
        spent=asking.count >= question.options.boots,
    )


def _reduce(question: BisectQuestion, launching: Launching, report: BisectReport, boots: int) -> Smallest[Unit]:
    """Take settings away from the launch of the first bad release: first what its features add, then everything."""
    # where releases between gave no answer first_bad lists several; only the last is known to fail
    version = report.verdict.first_bad[-1]
    plan = launching.plan_of(version)
    bare = launching.plan_of(version, replace(question.cell, features=frozenset()))
    found = None
    for units in (list_units(plan, bare), list_units(plan, None)):
        # all settings are tried only where it still fails without its features' own: they cost more boots
        if not units or (found is not None and not found.baseline_fails):
            continue
        left = boots - (found.boots if found else 0)
        found = _find_smallest(question, launching, report.verdict, units, left)
    return found or Smallest((), minimal=False, boots=0, fails=False)


def _find_smallest(
    question: BisectQuestion, launching: Launching, verdict: BisectVerdict, units: Sequence[Unit], boots: int
) -> Smallest[Unit]:
    version, last_good = verdict.first_bad[-1], verdict.last_good

    def ask_on(release: str) -> Callable[[Sequence[Unit]], Answer]:
        def ask(kept: Sequence[Unit]) -> Answer:
            observed, _ = launching.boot(release, [u for u in units if u not in kept])
            shown = ", ".join(map(str, kept)) or "none of them"
            sys.stderr.write(f"[{launching.count}] {release} with {defuse_line(shown)}: {observed.answer}\n")
            return observed.answer

        return ask

    search = question.search
    return find_smallest(
        units,
        ask_on(version),
        control=ask_on(last_good),
        model=search.model,
        confidence=search.confidence,
        boots=boots,
        whole_fails=True,
    )


def _end(question: BisectQuestion, asking: Asking, report: BisectReport) -> Written | None:
    """Write the draft, the text and the folder, where a first bad release was found."""
    verdict, options = report.verdict, question.options
    if verdict.word != "found" or asking.shape is None:
        return None
    first = verdict.first_bad[-1]
    failed = [told for told, seen in asking.told if told.version == first and seen.answer == "bad"]
    # first_bad can be known by its neighbours alone; a draft needs a run of its own that shows the failure
    if not failed:
        return Written(places=(), problems=(f"no run of {first} itself failed",))
    place = question.search.releases.index(first)
    smallest = report.smallest
    units = ", ".join(map(str, smallest.units)) if smallest and smallest.fails and smallest.units else ""
    regression = Regression(
        cell=place_cell(question.matrix, question.cell, first),
        versions=question.search.releases[place:],
        last_good=verdict.last_good,
        # one pass is enough to make it intermittent: `always` would turn the next pass into a red XPASS
        always=not report.tally.passes[place],
        told=failed[-1],
        shape=asking.shape,
        probability=verdict.probability,
        boots=report.tally.answers,
        smallest=units,
    )
    options.out.mkdir(parents=True, exist_ok=True)
    owner = options.owner or _name_user()
    told = [t for t, _ in asking.told]
    today = datetime.now(UTC).date()
    return write_ending(question.matrix, regression, told, options.out, owner=owner, issue=options.issue, today=today)


def _name_user() -> str:
    """Return the user's name, or the number of one that this host does not list (a container's)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
