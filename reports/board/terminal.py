"""Renders the board for a terminal (rich) and as Markdown (pull requests, job summaries)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from matrix.judging.status import Status
from matrix.output.markdown import format_markdown_table
from matrix.wording import list_first
from reports.board.text import NOTHING, SPEAKS, BoardLine, StatusTally, Told, View, make_headline
from reports.evidence.defuse import defuse_for_code, defuse_for_markdown, defuse_line
from reports.evidence.summary import SettledTest
from reports.evidence.types import ProofOutcome

STYLES = {"plain": "cyan", "good": "green", "noted": "yellow", "trouble": "bold red", "quiet": "dim"}
PROOF_STYLES = {"proven": "green", "refuted": "bold red", "unproven": "yellow"}
SHOWN_TROUBLES = 20  # cells in the terminal; all of them are in the HTML
SHOWN_TESTS = 3  # of each cell
SHOWN_RIGS = 3
TEXT_CHARS = 400
TOLD_CHARS = 1_000
MARKDOWN_CHARS = 1_000
FEATURE_CHARS = 40
WIDE = 10_000  # columns: more than any table needs


def print_table(shown: View, console: Console) -> None:
    for group in shown.groups:
        table = _make_table(shown.suites, group.title, group.lines)
        # In 80 columns a table of ten suites has "PA…" in each box: there each cell is a paragraph.
        needed = console.measure(table, options=console.options.update(width=WIDE)).minimum
        console.print(table if needed <= console.width else _list_lines(shown.suites, group.title, group.lines))
    for cell, reasons in shown.reasons:
        console.print(Text(cell or "the run", "bold"))
        console.print(Text("\n".join(f"  {r.text}" for r in reasons), "red"))
    for _, tests in shown.troubles[:SHOWN_TROUBLES]:
        for test in [t for t in tests if t.result][:SHOWN_TESTS]:
            console.print(Group(*_iterate_trouble(test)))
    for test in shown.noted:
        console.print(
            Text("\n  ".join([f"\n{test.status} {test.nodeid}", *map(_cut_text, test.notes)]), STYLES["noted"])
        )
    for head, text in _iterate_notes(shown):
        console.print(Text(f"\n{head}\n  {_cut_text(text)}", STYLES["noted"]))
    for name, told in shown.asked_again:
        console.print(
            Text(f"\nanswered more than once: {_cut_text(name)}\n  {defuse_line(told, TOLD_CHARS)}", STYLES["noted"])
        )
    for line in shown.told:
        console.print(Text(f"note: {defuse_line(line, TOLD_CHARS)}", STYLES["noted"]))
    if shown.predictions:
        console.print(f"predictions about cells that differ in one feature: {_count_outcomes(shown)}")
    if shown.excluded:
        where, command = list_first(shown.rigs, SHOWN_RIGS), f"glm-matrix list --excluded --rig {' '.join(shown.rigs)}"
        console.print(f"{shown.excluded:,} combinations excluded on {where}, each with its reason: {command}")
    green = shown.verdict is None or shown.verdict.green
    console.print(Text(make_headline(shown), "bold green" if green else "bold red"))


def _iterate_notes(shown: View) -> Iterator[tuple[str, str]]:
    """Yield what is to be known of a cell whatever its tests came to, each with its head line."""
    yield from ((f"launched again {cell}", text) for cell, text in shown.relaunched)
    yield from ((f"ended badly when stopped {cell}", text) for cell, text in shown.stopped)
    yield from shown.accepted
    yield from ((f"{Status.NOT_RUN_AS_KNOWN} {cell}", text) for cell, text in shown.not_run)


def _make_table(suites: Sequence[str], title: str, lines: Sequence[BoardLine]) -> Table:
    table = Table(title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("checkpoint", overflow="fold")
    table.add_column("features", overflow="fold")
    for name in ("cell", *suites):
        table.add_column(name.replace("_", " "), no_wrap=True)
    for name in ("launch", "tok/s", "TTFT"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("proofs", overflow="fold")
    for line in lines:
        boxes = [
            _style_tally(StatusTally(status=line.whole.status), str(line.whole.status)),
            *(_style_tally(t, t.text) for t in line.suites),
        ]
        told = map(Text, (line.launch, line.tok_s, line.ttft))
        table.add_row(*map(Text, line.name), *boxes, *told, _style_proofs(line.proofs))
    return table


def _list_lines(suites: Sequence[str], title: str, lines: Sequence[BoardLine]) -> Group:
    """List each cell with its suites and numbers below it, for a terminal that is narrower than the table."""
    parts: list[RenderableType] = [Text(f"{title}\n", "bold")]
    for line in lines:
        whole = _style_tally(StatusTally(status=line.whole.status), str(line.whole.status))
        parts.append(Text(" ").join([whole, *map(Text, line.name)]))
        named = zip(suites, line.suites, strict=True)
        parts.append(_indent([Text(f"{n.replace('_', ' ')} ") + _style_tally(t, t.text) for n, t in named if t.status]))
        numbers = (("launch", line.launch), ("tok/s", line.tok_s), ("TTFT", line.ttft))
        parts.append(_indent([*(Text(f"{n} {v}") for n, v in numbers if v != NOTHING), _style_proofs(line.proofs)]))
    return Group(*parts)


def _indent(parts: Sequence[Text]) -> Padding:
    return Padding(Text(", ").join(parts), (0, 0, 0, 4))


def _style_tally(tally: StatusTally, text: str) -> Text:
    return Text(text, STYLES[tally.tone])


def _group_by_outcome(proofs: Sequence[Told]) -> list[tuple[ProofOutcome, str]]:
    """Group features by outcome: `refuted: mtp` before `proven: dsa, indexcache`. Rung and numbers are in the
    evidence and the page."""
    named = {o: [defuse_line(p.feature, FEATURE_CHARS) for p in proofs if p.outcome == o] for o in SPEAKS}
    return [(outcome, f"{outcome}: {', '.join(features)}") for outcome, features in named.items() if features]


def _style_proofs(proofs: Sequence[Told]) -> Text:
    parts = [Text(words, PROOF_STYLES[outcome]) for outcome, words in _group_by_outcome(proofs)]
    return Text(", ").join(parts) if parts else Text(NOTHING, "dim")


def _count_outcomes(shown: View) -> str:
    counts = Counter(p.outcome for p in shown.predictions)
    return ", ".join(f"{n} {outcome}" for outcome, n in counts.most_common())


def _iterate_trouble(test: SettledTest) -> Iterator[RenderableType]:
    yield Text(f"\n{test.status} {test.nodeid}", STYLES["trouble"])
    bad = [f for f in test.findings if not f.ok]
    for finding in bad[:2]:
        yield Text(f"  {_cut_text(finding.check)} {_cut_text(finding.detail)}")
        yield Text(f"    expected: {_cut_text(finding.expected)}\n    got:      {_cut_text(finding.got)}")
    if not bad:
        yield Text(f"  {_cut_text(test.message)}")


def _cut_text(text: str) -> str:
    return defuse_line(text, TEXT_CHARS)


def _list_engines(title: str, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return a section with a line for each engine, by a cell of its plan; nothing where there is none."""
    lines = [f"- {_format_code(cell)} {_escape_markdown(text)}" for cell, text in pairs]
    return ["", f"## {title}", "", *lines] if lines else []


def render_markdown(shown: View) -> str:
    """Render the report as GitHub-flavoured Markdown. Model output is shown as code, with its backticks and bars
    defused."""
    lines = [f"# {_escape_markdown(make_headline(shown))}", ""]
    for cell, reasons in shown.reasons:
        lines += [f"- {_format_code(cell or 'the run')}", *(f"  - {_escape_markdown(r.text)}" for r in reasons)]
    for group in shown.groups:
        head = ["checkpoint", "features", "cell", *shown.suites, "launch", "tok/s", "TTFT", "proofs"]
        lines += [
            "",
            f"## {_escape_markdown(group.title)}",
            "",
            _format_rows(head, map(_make_markdown_row, group.lines)),
        ]
    if shown.troubles:
        lines += ["", "## What went wrong"]
        lines += [part for _, tests in shown.troubles for test in tests for part in _iterate_markdown_trouble(test)]
    if shown.predictions:
        lines += ["", "## Predictions, beside the same cell without the feature", ""]
        rows = (
            [_format_code(p.cell), *map(_escape_markdown, (p.feature, p.what, p.outcome, p.detail))]
            for p in shown.predictions
        )
        lines += [_format_rows(["cell", "feature", "what", "outcome", "seen"], rows)]
    if shown.noted:
        lines += ["", "## Green, with a note", ""]
        lines += [
            f"- **{t.status}** {_format_code(t.nodeid)} {_escape_markdown('; '.join(t.notes))}" for t in shown.noted
        ]
    lines += _list_engines("Launched again after a crash", shown.relaunched)
    lines += _list_engines("Ended badly when stopped", shown.stopped)
    if shown.asked_again:
        lines += ["", "## Answered more than once", ""]
        lines += [f"- {_format_code(name)} {_escape_markdown(told)}" for name, told in shown.asked_again]
    if shown.told:
        lines += ["", "## To be known beside the verdict", ""]
        lines += [f"- {_escape_markdown(line)}" for line in shown.told]
    if shown.accepted:
        lines += ["", "## Asked of another server, as accepted", ""]
        lines += [f"- {_format_code(cell)} {_escape_markdown(text)}" for cell, text in shown.accepted]
    if shown.not_run:
        lines += ["", "## Did not run, as known", ""]
        lines += [f"- {_format_code(cell)} {_escape_markdown(message)}" for cell, message in shown.not_run]
    if shown.known:
        lines += ["", "## Known failures, failing as expected", ""]
        lines += [f"- {count} x {_escape_markdown(message)}" for message, count in shown.known]
    if shown.exclusions:
        rows = ([f"{e.count:,}", e.status, f"`{e.rule}`", _escape_markdown(e.example)] for e in shown.exclusions)
        lines += ["", f"## {shown.excluded:,} combinations excluded on {list_first(shown.rigs, SHOWN_RIGS)}", ""]
        lines += [_format_rows(["count", "status", "rule", "for example"], rows)]
    return "\n".join(lines) + "\n"


def _make_markdown_row(line: BoardLine) -> list[str]:
    marked = [f"{t.glyph} {t.text}" if t.status else NOTHING for t in line.suites]
    whole = f"**{line.whole.glyph} {line.whole.status}**"
    proofs = "; ".join(words for _, words in _group_by_outcome(line.proofs)) or NOTHING
    return [
        *map(_escape_markdown, line.name),
        whole,
        *marked,
        line.launch,
        line.tok_s,
        line.ttft,
        _escape_markdown(proofs),
    ]


def _iterate_markdown_trouble(test: SettledTest) -> Iterator[str]:
    yield f"\n**{test.status}** {_format_code(test.nodeid)}\n"
    bad = [f for f in test.findings if not f.ok]
    for finding in bad:
        yield f"- {_escape_markdown(finding.check)} {_escape_markdown(finding.detail)}"
        yield f"  - expected {_format_code(_cut_text(finding.expected))}"
        yield f"  - got {_format_code(_cut_text(finding.got))}"
    if not bad:
        yield _format_code(_cut_text(test.message))


def _format_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return format_markdown_table(header, rows, numbers=("count",)).rstrip()


def _escape_markdown(text: str) -> str:
    return defuse_for_markdown(text, MARKDOWN_CHARS)


def _format_code(text: str) -> str:
    return defuse_for_code(text, MARKDOWN_CHARS)
