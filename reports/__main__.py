"""Tables, pages and verdicts from evidence. Nothing here needs a GPU, an engine or the network.

    glm-matrix report --policy ci/gates/cpu.yaml     everything below at once; what `make matrix` prints
    glm-matrix table                                 the verdict table in the terminal
    glm-matrix html --out reports/out/index.html     an index and a page for each cell, with every failing reply
    glm-matrix gate --policy ci/gates/cpu.yaml       green or red, each reason in a sentence, and as JUnit for CI
    glm-matrix predictions                           cells that differ in one feature: as predicted?
    glm-matrix ablation                              MTP's speed-up, chunked prefill's ITL: with over without
    glm-matrix replay EVIDENCE.jsonl                 judge its kept replies again, without an engine, and compare
    glm-matrix sign EVIDENCE.jsonl --key KEY         vouch for it with an SSH key
    glm-matrix diff OLD.jsonl NEW.jsonl              may I upgrade? YES, NO or UNKNOWN, and every change for each cell
    glm-matrix history trend DIR                     all earlier runs: trend, flakes, bisect-start, baseline, add
    glm-matrix certify EVIDENCE                      a certificate for each cell (in-toto), or --verify CERTIFICATE
    glm-matrix registry check DIR                    certificates in a git directory: add, check, badge
    glm-matrix claims                                every published number, and ours beside it
    glm-matrix repro FAILURE --out DIR               a folder that asks one failed request again
    glm-matrix issue FAILURE                         the failure as a text for the engine's maintainers
    glm-matrix junit merge OUT.xml A.xml B.xml       several jobs' JUnit files as one
    glm-matrix junit verify OUT.xml                  is every expected cell in it, with its identity?
    glm-matrix redact reports/out/logs               secrets in files of a run that was killed, before an upload

Evidence defaults to reports/out/evidence.jsonl; give several files after --evidence to judge several jobs as one.
Exit codes: 0 green, 1 red (or worse, in a diff), 2 bad input (with file:line), 3 a diff that cannot be decided.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final

from rich.console import Console

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError, HostError
from matrix.model import Cell, Excluded
from matrix.output.columns import format_table
from matrix.output.pipe import run_for_a_pipe
from matrix.planning.by_condition import RigNarrowing
from matrix.planning.by_id import list_runnable_matching
from matrix.planning.expand import expand_matrix, expand_narrowly
from matrix.planning.named import list_runnable_named
from matrix.yaml.load import digest_of, load_matrix
from reports.arguments import list_evidence, make_reports_parser
from reports.board import terminal as table
from reports.board.text import View, make_headline, make_view, name_rigs
from reports.certify import command as certify
from reports.compare import ablation, across_backends, prediction, same_answers
from reports.evidence import files as evidence
from reports.evidence import junit, redact, signature
from reports.evidence.answered import require_results
from reports.evidence.attempts import order_by_time, order_files
from reports.evidence.by_cell import Unstreamable, is_large, without_garbage_collection
from reports.evidence.defuse import defuse_line
from reports.evidence.given import unpack_given
from reports.evidence.sealed import read_sealed_files
from reports.evidence.source_state import read_commit, read_commit_time
from reports.evidence.summary import CellRow, make_board
from reports.evidence.thin_records import ThinEvidence, read_thin
from reports.evidence.types import Record
from reports.evidence.vocabulary import find_ordinary
from reports.expected import ExpectedCell
from reports.gate import gate, policy
from reports.gate import junit as gate_junit
from reports.gate.assurance import assure_verdict, begin_replay
from reports.gate.gate import Verdict
from reports.gate.narrowed import keep_selected, tell_left_out
from reports.gate.origin import Today
from reports.gate.provenance import add_provenance
from reports.history import command as history
from reports.ledger import command as ledger
from reports.ledger.entries import LedgerEntry
from reports.page.environment import compile_templates
from reports.page.stream import stream_pages
from reports.page.write import PageSource, write_pages
from reports.registry import command as registry
from reports.replay import differences as replay
from reports.replay import run as replaying
from reports.reproduce import command as reproduce
from reports.upgrade import command as upgrade

GREEN, RED, BAD_INPUT = 0, 1, 2
WRITES_PAGES: Final = ("report", "html")
LOG_COLUMNS: Final = 1000  # twelve CPU cells take 270


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What a report tells beside its verdict: what is excluded on its rigs, and every published number."""

    excluded: Mapping[Cell, Excluded]
    claims: tuple[LedgerEntry, ...]

    @classmethod
    def of(cls, records: Sequence[Record], rows: Sequence[CellRow]) -> Beside:
        return cls(excluded=_list_excluded(rows), claims=ledger.judge_claims(records))


@dataclass(frozen=True, kw_only=True)
class JudgedEvidence:
    """Evidence read, and judged where a policy was given."""

    records: list[Record]
    verdict: Verdict | None
    expected: tuple[ExpectedCell, ...] = ()
    is_thin: bool = False  # the records are without what only a cell's page shows
    told: Beside | None = None  # made while the replay ran; None: made when it is shown

    @cached_property
    def view(self) -> View:
        board = self.verdict.board if self.verdict else make_board(self.records)
        told = self.told or Beside.of(self.records, board.rows)
        return make_view(board, self.verdict, told.excluded, told.claims)

    @property
    def code(self) -> int:
        return GREEN if self.verdict is None or self.verdict.green else RED


def make_parser() -> argparse.ArgumentParser:
    return make_reports_parser(__doc__ or "")


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    try:
        own = {"diff": upgrade.run_diff, "junit": _junit, "predictions": _predictions, "replay": _replay, "sign": _sign}
        own |= {
            "redact": _redact,
            "repro": reproduce.run_repro,
            "issue": reproduce.run_issue,
            "claims": ledger.run_claims,
        }
        own |= {"history": history.run_history, "certify": certify.run_certify, "registry": registry.run_registry}
        with unpack_given(args):
            if args.verb in own:
                return own[args.verb](args)
            with without_garbage_collection():  # the matrix, records and pages, whichever come first
                return _judging(args)
    except (ConfigError, HostError) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT


def _judging(args: argparse.Namespace) -> int:
    if args.verb == "gate" and args.policy is None:
        make_parser().error("gate needs --policy, e.g. ci/gates/cpu.yaml")
    place = _place_junit(args)
    if (shown := _stream(args)) is not None:
        return _report_streamed(args, shown)
    judged = _judged_for(args, place)
    match args.verb:
        case "report":
            _write_tables(_write_pages(judged, args), args.out)
        case "table" if args.markdown:
            print(table.render_markdown(judged.view), end="")
        case "table":
            table.print_table(judged.view, _console())
        case "html":
            _write_pages(judged, args)
            print(args.out)
        case "gate":
            _print_verdict(judged)
        case "ablation":
            print(ablation.render_ablations(ablation.find_ablations(judged.records)))
    return judged.code


def _place_junit(args: argparse.Namespace) -> Path | None:
    """Where the verdict goes as JUnit, if this verb writes one."""
    if args.verb == "report":
        return Path(args.out) / gate_junit.NAME
    return args.junit if args.verb == "gate" else None


def _judged_for(args: argparse.Namespace, place: Path | None) -> JudgedEvidence:
    """Judge, and write the verdict as JUnit. That file is red until it is known to be green, and gone without a policy:
    an older one would speak for this evidence."""
    if place is None:
        return _judge_given_files(args)
    if args.policy is None:
        place.unlink(missing_ok=True)
        return _judge_given_files(args)
    gate_junit.write_unjudged(place)
    try:
        judged = _judge_given_files(args)
    except (ConfigError, HostError) as error:
        gate_junit.write_unjudged(place, str(error))
        raise
    assert judged.verdict is not None
    gate_junit.write_verdict(judged.verdict, place)
    return judged


def _judge_given_files(args: argparse.Namespace) -> JudgedEvidence:
    policy_file = policy.load_policy(args.policy) if args.policy else None  # first: evidence takes minutes to read
    files = list_evidence(args)
    thin = _read_thin(files) if policy_file and args.verb != "ablation" else None
    if policy_file is None:
        records = _read_in_order(files)
        require_results(files, records)
        return JudgedEvidence(records=records, verdict=None)
    records, sealed = (thin.records, thin.sealed) if thin else read_sealed_files(files)
    found, doc = policy_file
    matrix, now = load_matrix(), datetime.now(UTC)
    with begin_replay(args, files) as replay:  # as long as what the policy expects takes, or longer
        whole = policy.expect_cells(found, doc, matrix)
        expected = keep_selected(whole, records) if args.selected_only else whole
        earlier = policy.read_baseline(found, doc, args.policy.parent)
        verdict = gate.judge_evidence(found, expected, records, now=now, earlier=earlier, sealed=sealed)
        # While the replay runs, which takes longer than all that is left to do here.
        told = None if thin else Beside.of(records, verdict.board.rows)
        if args.verb in WRITES_PAGES:
            compile_templates()
        verdict = assure_verdict(verdict, args, files, replay, now.date())
    today = Today(
        commit=read_commit(CHECKOUT),
        matrix_sha256=digest_of(matrix.root),
        committed=read_commit_time(CHECKOUT),
        now=now,
    )
    verdict = tell_left_out(add_provenance(verdict, expected, records, today, now.date()), whole, expected)
    return JudgedEvidence(records=records, verdict=verdict, expected=expected, is_thin=thin is not None, told=told)


def _read_thin(paths: Sequence[Path]) -> ThinEvidence | None:
    """Read large evidence without what a gate does not need; None where it is small, or must be read at once."""
    try:
        return read_thin(paths) if is_large(paths) else None
    except Unstreamable as error:
        _tell_read_at_once(error)
    except OSError:
        pass  # whoever reads it at once says which file, and why
    return None


def _tell_read_at_once(error: Unstreamable) -> None:
    print(f"note: read at once, for {defuse_line(str(error))}", file=sys.stderr)


def _read_in_order(paths: Sequence[Path]) -> list[Record]:
    return [record for _, own in order_files((path, evidence.read_records(path)) for path in paths) for record in own]


def _list_excluded(rows: Sequence[CellRow]) -> Mapping[Cell, Excluded]:
    """List what is excluded on the rigs that a report shows: judging the others took longer than all the rest."""
    return expand_narrowly(load_matrix(), RigNarrowing(rigs=frozenset(name_rigs(rows)))).excluded


def _stream(args: argparse.Namespace) -> View | None:
    """Write the pages of large evidence while it is read; None where a policy judges it, or it must be read at once."""
    paths = list_evidence(args)
    if args.verb not in ("html", "report") or args.policy is not None or not is_large(paths):
        return None
    try:
        return stream_pages(paths, _place_index(args), load_matrix(), _list_excluded)
    except Unstreamable as error:
        _tell_read_at_once(error)
        return None


def _report_streamed(args: argparse.Namespace, shown: View) -> int:
    if args.verb == "html":
        print(args.out)
        return GREEN
    (args.out / gate_junit.NAME).unlink(missing_ok=True)  # it would speak for this evidence
    _write_tables(shown, args.out)
    return GREEN


def _place_index(args: argparse.Namespace) -> Path:
    """Place the index.

    Raises:
        HostError: a folder has that name; before anything is written beside it.
    """
    index = Path(args.out) / "index.html" if args.verb == "report" else Path(args.out)
    if index.is_dir():
        raise HostError(f"--out {index} is a folder; name the index in it: --out {index / 'index.html'}")
    return index


def _write_pages(judged: JudgedEvidence, args: argparse.Namespace) -> View:
    """Write the pages, and return what they show."""
    matrix, index, files = load_matrix(), _place_index(args), list_evidence(args)
    if judged.is_thin:
        # Thin records have nothing for a cell's page, which is made while the files are read once more: their room is
        # needed for that.
        judged.records.clear()
        return stream_pages(files, index, matrix, _list_excluded, verdict=judged.verdict, expected=judged.expected)
    shown = judged.view
    source = PageSource(
        verdict=judged.verdict,
        runs=shown.board.runs,
        claims=shown.claims,
        evidence=files,
        matrix=matrix,
        cells={c.id: c for c in list_runnable_matching(matrix, [row.cell for row in shown.board.rows])},
    )
    write_pages(shown, index, source)
    return shown


def _write_tables(shown: View, out: Path) -> None:
    (out / "table.md").write_text(table.render_markdown(shown), encoding="utf-8", errors="replace")
    table.print_table(shown, _console())
    places = [out / name for name in ("index.html", "table.md", gate_junit.NAME)]
    print(f"written: {', '.join(str(p) for p in places if p.exists())}")


def _print_verdict(judged: JudgedEvidence) -> None:
    assert judged.verdict is not None
    for reason in judged.verdict.reasons:
        print(f"- {reason}")
    for line in judged.verdict.told:
        print(f"note: {defuse_line(line)}")
    print(make_headline(judged.view))


def _console() -> Console:
    """Wide enough for every column when the output is a file or a CI log: a cell is one line, which can be searched."""
    return _Console() if sys.stdout.isatty() else _Console(width=LOG_COLUMNS)


class _Console(Console):
    """A console whose reader may go away: rich would exit with 1, which is red here."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _redact(args: argparse.Namespace) -> int:
    """Whatever can be hidden is, also where a variable of the environment is refused afterwards."""
    refused: ConfigError | None = None
    try:
        redact.register_environment(os.environ, find_ordinary)
    except ConfigError as error:
        refused = error
    print(f"{redact.redact_files(args.paths)} files looked through for secrets")
    for path in (p for p in args.paths if not p.exists()):  # no error: a job that never began leaves no logs
        print(f"note: {path}: no such file or folder, so nothing in it was redacted", file=sys.stderr)
    if refused is not None:
        raise refused
    return GREEN


def _predictions(args: argparse.Namespace) -> int:
    """Of every recorded cell, whatever a policy expects."""
    records, matrix = _read_in_order(list_evidence(args)), load_matrix()
    require_results(list_evidence(args), records)
    recorded = {r.cell for r in records}
    asked = [c for c in expand_matrix(matrix).runnable if c.id in recorded] + list_runnable_named(matrix, recorded)
    cells = [policy.make_expected(matrix, c) for c in asked]
    found = prediction.judge_predictions(cells, records)
    rows = [[a.cell, f"without {a.feature}", a.what, a.outcome, a.detail] for a in found]
    head = ("cell", "beside the cell", "what", "outcome", "seen")
    print(format_table(rows, head) if rows else "no two cells of this evidence differ in one feature only")
    alike = same_answers.judge_same_answers(cells, order_by_time(records), recorded)
    if alike:
        shown = [[s.cell, s.other, s.outcome, s.detail] for s in alike]
        print(format_table(shown, ("cell", "beside the cell", "same answers", "seen")))
    beside = across_backends.judge_across_backends(cells, order_by_time(records), recorded)
    if beside:
        shown = [[b.cell, b.other, b.outcome, b.detail] for b in beside]
        print(format_table(shown, ("cell", "beside the cell", "another backend", "seen")))
    differs = any(s.outcome == "differs" for s in alike) or any(b.outcome == "differs" for b in beside)
    return RED if differs or any(a.outcome == "refuted" for a in found) else GREEN


def _replay(args: argparse.Namespace) -> int:
    require_results(args.evidence, _read_in_order(args.evidence))
    found = replaying.replay_evidence(args.evidence)
    print(replay.render_replay(found))
    return GREEN if found.agrees else RED


def _sign(args: argparse.Namespace) -> int:
    print(signature.sign_evidence(args.evidence, args.key))
    return GREEN


def _junit(args: argparse.Namespace) -> int:
    records = _read_in_order(args.evidence)
    if args.junit_verb == "merge":
        junit.merge_junit(args.files, records, args.out)
        print(args.out)
        return GREEN
    problems = junit.find_problems(args.file, records)
    print("\n".join(problems) or f"{args.file}: complete")
    return RED if problems else GREEN


if __name__ == "__main__":
    sys.exit(run_for_a_pipe(main))
