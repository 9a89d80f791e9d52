"""Renders the index: the verdict, what it is of, and every cell with its numbers.

A board of up to `WHOLE` cells is a table of rows, which needs no script. A larger one is packed as data that the page's
script makes rows of as they come into view, so that thousands of cells have a first page of less than 1 MB.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from markupsafe import Markup

from matrix.judging.status import SEVERITY, Status
from matrix.wording import list_first
from reports.board.text import GLYPHS, BoardLine, CellJudgement, View, make_headline
from reports.evidence.defuse import cut_to, defuse_line
from reports.evidence.summary import TOK_S, TTFT_MS
from reports.evidence.types import Measured
from reports.evidence.versions import find_version
from reports.ledger.forms import HEAD, make_columns, summarise_entries
from reports.page.environment import make_environment
from reports.page.parts import describe_host
from reports.page.places import PagePlaces

WHOLE: Final = 300  # cells of a table that needs no script
FEW, MANY, REASONS = 4, 200, 3  # cells with reasons that are shown at once, at most; reasons of each
FIXED: Final = ("checkpoint, features", "verdict", "tok/s", "TTFT", "launch")
SHOWN_CHARS: Final = 200
WORDS: Final = ("RED", *SEVERITY, "NOT RUN", "GREEN")  # of verdicts, the worst first
OUTCOMES: Final = {"refuted": ("trouble", "✗"), "unproven": ("noted", "?"), "proven": ("good", "✓")}


def render_index(shown: View, places: PagePlaces) -> str:
    """Render the first page. The template engine escapes every text that is not ours, model output above all."""
    lines = [line for group in shown.groups for line in group.lines]
    whole = len(lines) <= WHOLE
    heads = [*FIXED, *(name.replace("_", " ") for name in shown.suites), "features"]
    page = make_environment().get_template("index.html.j2")
    return page.render(
        view=shown,
        proofs_of=group_proofs,
        headline=make_headline(shown),
        summary=list(_summarise_runs(shown)),
        runs=list(_tell_runs(shown)),
        place=places.link_from_index,
        folder=places.folder.name,
        whole=whole,
        count=len(lines),
        keys={line.row.cell: _make_keys(line) for line in lines} if whole else {},
        rows=None if whole else _embed(_pack_rows(shown, places)),
        legend=_embed(_make_legend(lines, heads, places.folder.name)),
        legend_heads=heads,
        glyphs=list(_list_glyphs(lines)),
        rules=_count_rules(shown),
        few=FEW,
        many=MANY,
        most_reasons=REASONS,
        predicted=_count_words(p.outcome for p in shown.predictions),
        claims=[(entry, make_columns(entry)) for entry in shown.claims],
        claims_head=HEAD,
        claims_summary=summarise_entries(shown.claims),
    )


def _embed(data: Any) -> Markup:
    """Embed data as JSON that cannot end the element that it stands in."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704  inert


def _make_keys(line: BoardLine) -> tuple[Any, Any, Any]:
    """Return the numbers that a row is sorted by: tok/s, TTFT in ms, launch in s; empty where there is none."""
    launch = line.row.launch.launch_s if line.row.launch and line.row.launch.outcome == "ok" else None
    return _round(line.row.best(TOK_S)), _round(line.row.best(TTFT_MS)), "" if launch is None else round(launch, 2)


def _round(found: Measured | None) -> float | str:
    return round(found.value, 1) if found else ""


def _make_legend(lines: Iterable[BoardLine], heads: list[str], folder: str) -> Mapping[str, Any]:
    counts = Counter(line.judgement.word for line in lines)
    words = sorted(counts, key=WORDS.index)
    return {"heads": heads, "folder": folder, "words": words, "counts": counts}


def _list_glyphs(lines: Iterable[BoardLine]) -> Iterator[tuple[Status, str]]:
    seen = {tally.status for line in lines for tally in line.suites}
    yield from ((status, glyph) for status, glyph in GLYPHS.items() if status in seen)


class _Table:
    """Numbers each distinct value, so that a row can name it by its number."""

    def __init__(self) -> None:
        self.places: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        return self.places.setdefault(value, len(self.places))

    @property
    def values(self) -> list[Any]:
        return list(self.places)


def _pack_rows(shown: View, places: PagePlaces) -> Mapping[str, Any]:
    words, judged, tallies, proofs = _Table(), _Table(), _Table(), _Table()
    rows = []
    for group in shown.groups:
        for line in group.lines:
            tok_s, ttft, launch = (value if value != "" else None for value in _make_keys(line))
            row = [
                words.number(_clean(group.title)),
                words.number(_clean(line.name[0])),
                words.number(_clean(line.name[1])),
                judged.number(_describe(line.judgement)),
                tallies.number(tuple((t.tone, t.glyph, t.text, t.short if t.status else "") for t in line.suites)),
                launch,
                words.number(_clean(line.launch)),
                tok_s,
                words.number(line.tok_s_at),
                ttft,
                words.number(line.ttft_at),
                proofs.number(tuple(group_proofs(line))),
                _clean(line.row.cell),
            ]
            stem = places.stem(line.row.cell)
            rows.append(row if stem == row[-1] else [*row, stem])
    tables = {"words": words, "judged": judged, "tallies": tallies, "proofs": proofs}
    return {**{name: table.values for name, table in tables.items()}, "rows": rows}


def _clean(text: str) -> str:
    return defuse_line(text, SHOWN_CHARS)


def _describe(judgement: CellJudgement) -> tuple[str, str, str]:
    return judgement.word, judgement.tone, judgement.glyph


def group_proofs(line: BoardLine) -> Iterator[tuple[str, str, str]]:
    """Yield the tone, the glyph and the features of each outcome."""
    for outcome, (tone, glyph) in OUTCOMES.items():
        if names := [_clean(p.feature) for p in line.proofs if p.outcome == outcome]:
            yield tone, glyph, ", ".join(names)


def _count_words(words: Iterable[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in Counter(words).items())


def _count_rules(shown: View) -> list[tuple[str, int]]:
    """Count the cells, or runs, that each rule speaks against, the most first."""
    found = {(reason.rule, reason.cell) for _, reasons in shown.reasons for reason in reasons}
    return Counter(rule for rule, _ in sorted(found)).most_common()


def _summarise_runs(shown: View) -> Iterator[tuple[str, str]]:
    """Tell when, where, which engines and which source: what a verdict is worth little without."""
    runs = shown.board.runs
    if not runs:
        return
    begun = [f"{r.t:%F %H:%M} UTC" for r in sorted(runs, key=lambda r: r.t)]
    yield "run", begun[0] if len(begun) == 1 else f"{begun[0]} to {begun[-1]}, {len(begun)} runs"
    yield "host", _join({describe_host(r.host) for r in runs})
    yield "engines", _join(_list_engines(shown)) or "no engine told its version"
    yield "commit", _join({f"{r.commit[:12]}{' (files differ from it)' if r.dirty else ''}" for r in runs if r.commit})
    yield "depth", _join({r.depth or "not said" for r in runs})


def _list_engines(shown: View) -> set[str]:
    found = set()
    for line in (line for group in shown.groups for line in group.lines):
        versions = line.row.launch.versions if line.row.launch else {}
        engine = str(line.row.facts.get("engine") or "")
        told = find_version(engine, versions)
        digest = str(versions.get("image_digest") or "").rpartition("sha256:")[2][:12]
        if told:
            found.add(f"{engine} {told}{f' (image {digest})' if digest else ''}")
    return found


def _join(words: Iterable[str], most: int = 4) -> str:
    return list_first(sorted(words), most)


def _tell_runs(shown: View) -> Iterator[Mapping[str, Any]]:
    for r in shown.board.runs:
        yield {
            "run": r.run,
            "begun": f"{r.t:%F %T} UTC",
            "command": cut_to(" ".join(r.argv), 1_000),
            "commit": r.commit[:12],
            "host": ", ".join(f"{k} {v}" for k, v in r.host.items() if v not in (None, "", [], {})),
            "versions": ", ".join(f"{k} {v}" for k, v in r.versions.items()),
        }
