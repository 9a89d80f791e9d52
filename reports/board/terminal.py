"""The board for a terminal (rich) and as Markdown (pull requests, job summaries)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from matrix.judging.status import Status
from reports.board.text import NOTHING, SPEAKS, Line, Tally, Told, View, headline
from reports.evidence.defuse import defuse_for_code, defuse_for_markdown, defuse_line
from reports.evidence.summary import Settled
from reports.evidence.types import ProofOutcome

STYLES = {"plain": "cyan", "good": "green", "noted": "yellow", "trouble": "bold red", "quiet": "dim"}
PROOF_STYLES = {"proven": "green", "refuted": "bold red", "unproven": "yellow"}
SHOWN_TROUBLES = 20  # cells in the terminal; all of them are in the HTML
SHOWN_TESTS = 3  # of each cell
TEXT_CHARS = 400
TOLD_CHARS = 1_000
MARKDOWN_CHARS = 1_000
FEATURE_CHARS = 40


def print_table(shown: View, console: Console) -> None:
    for group in shown.groups:
        console.print(_terminal(shown.suites, group.title, group.lines))
    for cell, reasons in shown.reasons:
        console.print(Text(cell or "the run", "bold"))
        console.print(Text("\n".join(f"  {r.text}" for r in reasons), "red"))
    for _, tests in shown.troubles[:SHOWN_TROUBLES]:
        for test in [t for t in tests if t.result][:SHOWN_TESTS]:
            console.print(Group(*_trouble(test)))
    for test in shown.noted:
        console.print(Text("\n  ".join([f"\n{test.status} {test.nodeid}", *map(_cut, test.notes)]), STYLES["noted"]))
    for cell, text in shown.accepted:
        console.print(Text(f"\n{cell}\n  {_cut(text)}", STYLES["noted"]))
    for cell, message in shown.not_run:
        console.print(Text(f"\n{Status.NOT_RUN_AS_KNOWN} {cell}\n  {_cut(message)}", STYLES["noted"]))
    for name, told in shown.asked_again:
        console.print(
            Text(f"\nanswered more than once: {_cut(name)}\n  {defuse_line(told, TOLD_CHARS)}", STYLES["noted"])
        )
    for line in shown.told:
        console.print(Text(f"note: {defuse_line(line, TOLD_CHARS)}", STYLES["noted"]))
    if shown.predictions:
        console.print(f"predictions about cells that differ in one feature: {_outcomes(shown)}")
    if shown.excluded:
        console.print(
            f"{shown.excluded:,} combinations excluded, each with its reason: python -m matrix list --excluded"
        )
    green = shown.verdict is None or shown.verdict.green
    console.print(Text(headline(shown), "bold green" if green else "bold red"))


def _terminal(suites: Sequence[str], title: str, lines: Sequence[Line]) -> Table:
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
            _styled(Tally(status=line.whole.status), str(line.whole.status)),
            *(_styled(t, t.text) for t in line.suites),
        ]
        told = map(Text, (line.launch, line.tok_s, line.ttft))
        table.add_row(*map(Text, line.name), *boxes, *told, _proofs(line.proofs))
    return table


def _styled(tally: Tally, text: str) -> Text:
    return Text(text, STYLES[tally.tone])


def _by_outcome(proofs: Sequence[Told]) -> list[tuple[ProofOutcome, str]]:
    """`refuted: mtp` before `proven: dsa, indexcache`: the rung and the numbers are in the evidence and the page."""
    named = {o: [defuse_line(p.feature, FEATURE_CHARS) for p in proofs if p.outcome == o] for o in SPEAKS}
    return [(outcome, f"{outcome}: {', '.join(features)}") for outcome, features in named.items() if features]


def _proofs(proofs: Sequence[Told]) -> Text:
    parts = [Text(words, PROOF_STYLES[outcome]) for outcome, words in _by_outcome(proofs)]
    return Text(", ").join(parts) if parts else Text(NOTHING, "dim")


def _outcomes(shown: View) -> str:
    counts = Counter(p.outcome for p in shown.predictions)
    return ", ".join(f"{n} {outcome}" for outcome, n in counts.most_common())


def _trouble(test: Settled) -> Iterator[RenderableType]:
    yield Text(f"\n{test.status} {test.nodeid}", STYLES["trouble"])
    bad = [f for f in test.findings if not f.ok]
    for finding in bad[:2]:
        yield Text(f"  {_cut(finding.check)} {_cut(finding.detail)}")
        yield Text(f"    expected: {_cut(finding.expected)}\n    got:      {_cut(finding.got)}")
    if not bad:
        yield Text(f"  {_cut(test.message)}")


def _cut(text: str) -> str:
    return defuse_line(text, TEXT_CHARS)


def markdown(shown: View) -> str:
    """The report as GitHub-flavoured Markdown; model output stands in code, with its backticks and bars defused."""
    lines = [f"# {_md(headline(shown))}", ""]
    for cell, reasons in shown.reasons:
        lines += [f"- {_code(cell or 'the run')}", *(f"  - {_md(r.text)}" for r in reasons)]
    for group in shown.groups:
        head = ["checkpoint", "features", "cell", *shown.suites, "launch", "tok/s", "TTFT", "proofs"]
        lines += ["", f"## {_md(group.title)}", "", _bars(head), _bars(["---"] * len(head))]
        lines += [_bars(_markdown_row(line)) for line in group.lines]
    if shown.troubles:
        lines += ["", "## What went wrong"]
        lines += [part for _, tests in shown.troubles for test in tests for part in _markdown_trouble(test)]
    if shown.predictions:
        lines += ["", "## Predictions, beside the same cell without the feature", ""]
        lines += [_bars(["cell", "feature", "what", "outcome", "seen"]), _bars(["---"] * 5)]
        lines += [
            _bars([_code(p.cell), *map(_md, (p.feature, p.what, p.outcome, p.detail))]) for p in shown.predictions
        ]
    if shown.noted:
        lines += ["", "## Green, with a note", ""]
        lines += [f"- **{t.status}** {_code(t.nodeid)} {_md('; '.join(t.notes))}" for t in shown.noted]
    if shown.asked_again:
        lines += ["", "## Answered more than once", ""]
        lines += [f"- {_code(name)} {_md(told)}" for name, told in shown.asked_again]
    if shown.told:
        lines += ["", "## To be known beside the verdict", ""]
        lines += [f"- {_md(line)}" for line in shown.told]
    if shown.accepted:
        lines += ["", "## Asked of another server, as accepted", ""]
        lines += [f"- {_code(cell)} {_md(text)}" for cell, text in shown.accepted]
    if shown.not_run:
        lines += ["", "## Did not run, as known", ""]
        lines += [f"- {_code(cell)} {_md(message)}" for cell, message in shown.not_run]
    if shown.known:
        lines += ["", "## Known failures, failing as expected", ""]
        lines += [f"- {count} x {_md(message)}" for message, count in shown.known]
    if shown.exclusions:
        lines += [
            "",
            f"## {shown.excluded:,} combinations excluded",
            "",
            _bars(["count", "status", "rule", "for example"]),
        ]
        lines += [_bars(["---:", "---", "---", "---"])]
        lines += [_bars([f"{e.count:,}", e.status, f"`{e.rule}`", _md(e.example)]) for e in shown.exclusions]
    return "\n".join(lines) + "\n"


def _markdown_row(line: Line) -> list[str]:
    marked = [f"{t.glyph} {t.text}" if t.status else NOTHING for t in line.suites]
    whole = f"**{line.whole.glyph} {line.whole.status}**"
    proofs = "; ".join(words for _, words in _by_outcome(line.proofs)) or NOTHING
    return [*map(_md, line.name), whole, *marked, line.launch, line.tok_s, line.ttft, _md(proofs)]


def _markdown_trouble(test: Settled) -> Iterator[str]:
    yield f"\n**{test.status}** {_code(test.nodeid)}\n"
    bad = [f for f in test.findings if not f.ok]
    for finding in bad:
        yield f"- {_md(finding.check)} {_md(finding.detail)}"
        yield f"  - expected {_code(_cut(finding.expected))}"
        yield f"  - got {_code(_cut(finding.got))}"
    if not bad:
        yield _code(_cut(test.message))


def _bars(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _md(text: str) -> str:
    return defuse_for_markdown(text, MARKDOWN_CHARS)


def _code(text: str) -> str:
    return defuse_for_code(text, MARKDOWN_CHARS)
