"""Builds the long tables of a cell's page as text: a template would spend most of its time on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from markupsafe import Markup, escape

from matrix.judging.status import Status
from reports.evidence.defuse import defuse_for_terminal
from reports.evidence.summary import CellRow, SettledTest
from reports.evidence.types import Found, Measured
from reports.page.chips import render_chip
from reports.page.replies import Talk

CELL_CHARS: Final = 240  # of a text in a long table; the evidence has the whole
TALK_CHARS: Final = 2_000
Html = str


@lru_cache(maxsize=8_192)  # names of checks, items and units, and most answers, occur in every cell
def show_text(text: str, most: int = CELL_CHARS) -> Html:
    """Defuse and escape a text of somebody else."""
    return str(escape(defuse_for_terminal(text, most)))


def render_tests(row: CellRow) -> Markup:
    """Render one row for each test: status, name, duration, findings, and what it failed of."""
    return Markup("".join(_iterate_tests(row)))  # noqa: S704  each text is escaped


def _iterate_tests(row: CellRow) -> Iterator[Html]:
    suite = ""
    for n, test in enumerate(row.tests):
        if test.suite != suite:
            suite = test.suite
            yield f'<tr class="group"><th scope="rowgroup" colspan="4">{show_text(suite)}</th></tr>'
        good = sum(f.ok for f in test.findings)
        found = f"{good}/{len(test.findings)}" if test.findings else ""
        took = f"{test.result.duration_s:.2f} s" if test.result else ""
        said = "" if test.green and not test.notes else f'<div class="soft">{show_text(_first_line(test))}</div>'
        link = f' <a href="#failed-{n}">in full</a>' if is_shown_in_full(test) else ""
        yield (
            f'<tr id="test-{n}"><td>{render_chip(test.status)}</td>'
            f'<th scope="row"><code>{show_text(test.name)}</code>{link}{said}</th>'
            f'<td class="number">{found}</td><td class="number">{took}</td></tr>'
        )


def is_shown_in_full(test: SettledTest) -> bool:
    """Return whether a test stands under what failed, with its replies. Of a launch that failed, who tells it does."""
    if test.result is None or test.status is Status.NOT_ASKED:
        return False
    if test.status is Status.NOT_RUN_AS_KNOWN:
        return bool(test.result.matched)
    return not test.green or any(not f.ok for f in test.findings)


def _first_line(test: SettledTest) -> str:
    if test.green:
        return "; ".join(test.notes)
    return test.message.strip().split("\n", 1)[0]


def render_findings(row: CellRow) -> Markup:
    """Render one row for each finding: check, item, expected, got, tokens of the prompt."""
    rows = (_render_finding(found) for test in row.tests for found in test.findings)
    return Markup("".join(rows))  # noqa: S704  each text is escaped


def _render_finding(found: Found) -> Html:
    tone, glyph = ("good", "✓") if found.ok else ("trouble", "✗")
    tokens = found.data.get("prompt_tokens")
    count = f"{tokens:,}" if isinstance(tokens, int) else ""
    got = "as expected" if found.got == found.expected else show_text(found.got)
    return (
        f'<tr><td class="{tone}">{glyph} {show_text(found.check)}</td><td><code>{show_text(found.item)}</code></td>'
        f'<td>{show_text(found.expected)}</td><td>{got}</td><td class="number">{count}</td></tr>'
    )


def render_talks(talks: Iterable[tuple[SettledTest, Sequence[Talk]]]) -> Markup:
    """Render one row for each request: the test, the prompt, the reply."""
    rows = (_render_talk(test, talk) for test, own in talks for talk in own)
    return Markup("".join(rows))  # noqa: S704  each text is escaped


def _render_talk(test: SettledTest, talk: Talk) -> Html:
    prompt, reply = show_text(talk.prompt, TALK_CHARS), show_text(talk.reply, TALK_CHARS)
    name = show_text(test.name)
    return f'<tr><td><code>{name}</code></td><td class="said">{prompt}</td><td class="said">{reply}</td></tr>'


def render_measurements(numbers: Iterable[Measured]) -> Markup:
    """Render one row for each number, with its unit and conditions."""
    return Markup("".join(map(_render_measurement, numbers)))  # noqa: S704  each text is escaped


def _render_measurement(m: Measured) -> Html:
    value = f"{m.value:.4g}" if m.value < 10_000 else f"{m.value:,.0f}"
    where = ", ".join(f"{k}={v}" for k, v in m.conditions.items())
    return (
        f'<tr><td>{show_text(m.name)}</td><td class="number">{value}</td><td>{show_text(m.unit)}</td>'
        f'<td class="soft">{show_text(where)}</td></tr>'
    )


def describe_host(host: Mapping[str, Any]) -> str:
    """Describe a run's host in words, with its driver where there is one."""
    driver = f", driver {host['driver']}" if host.get("driver") else ""
    return f"{host.get('description') or host.get('machine') or 'not said'}{driver}"
