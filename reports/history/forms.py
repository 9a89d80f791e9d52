"""Makes rows of trends and flakes, and tells them as Markdown. Every text of evidence is defused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from matrix.output.markdown import format_markdown_table
from matrix.wording import count_words
from reports.evidence.defuse import defuse_for_code, defuse_for_markdown
from reports.history.flakes import Flaky
from reports.history.trend import NumberTrend, Word

DAY: Final = 10  # characters of a time that are its date
TREND_HEAD: Final = ("cell", "number", "conditions", "over time", "last", "ratio", "verdict")
FLAKE_HEAD: Final = ("test", "failed", "rate", "95 % bounds", "since", "last in run")
# What to look at first; a stable order keeps cells of one verdict in the order of their names.
URGENCY: Final[Mapping[Word, int]] = {"slower": 0, "faster": 1, "as before": 2, "too few to judge": 3, "not judged": 4}
TEXT_CHARS: Final = 300


def make_trend_row(trend: NumberTrend) -> Iterator[str]:
    """Yield the columns of a trend, as `TREND_HEAD` names them."""
    word, ratio = trend.judged
    yield trend.cell
    yield trend.name
    yield ", ".join(f"{name} {value}" for name, value in trend.conditions.items())
    yield trend.line
    yield f"{trend.last.value:.4g} {trend.unit}"
    yield f"{ratio:.3f}" if ratio is not None else "-"
    yield word


def make_flake_row(flaky: Flaky) -> Iterator[str]:
    """Yield the columns of a flake, as `FLAKE_HEAD` names them."""
    low, high = flaky.bounds
    yield flaky.nodeid
    yield f"{flaky.failures} of {flaky.tries}"
    yield f"{flaky.rate:.1%}"
    yield f"{low:.1%} to {high:.1%}"
    yield flaky.since[:DAY]
    yield flaky.runs[1]


def sort_trends(found: Sequence[NumberTrend]) -> list[NumberTrend]:
    """Sort trends by what to look at first."""
    return sorted(found, key=lambda trend: URGENCY[trend.judged[0]])


def tell_trends(found: Sequence[NumberTrend]) -> str:
    """Tell in one line what became of the numbers."""
    counts = Counter(trend.judged[0] for trend in found)
    told = ", ".join(f"{counts[word]} {word}" for word in URGENCY if counts[word])
    return f"{count_words(len(found), 'number')} over time: {told or 'none'}"


def tell_flakes(found: Sequence[Flaky]) -> str:
    """Tell in one line how many tests answered both ways."""
    return f"{count_words(len(found), 'test')} that one plan answered both ways" if found else "no flake"


def format_markdown(headline: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a headline and a table, names as code."""
    shown = ([defuse_for_code(row[0]), *(defuse_for_markdown(text, TEXT_CHARS) for text in row[1:])] for row in rows)
    table = format_markdown_table(tuple(head), shown) if rows else ""
    return f"# {defuse_for_markdown(headline, TEXT_CHARS)}\n\n{table}".rstrip() + "\n"
