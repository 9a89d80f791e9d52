"""The kill table as JSON and as Markdown."""

from __future__ import annotations

import json
import platform
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from matrix.checkout import CHECKOUT
from matrix.output.markdown import escape_cell, format_markdown_table
from tests.faults.catalogue.table import FAULTS
from tests.faults.stub.table import DEFECTS
from tests.mutation.row import Alarm, AsKnown, Healthy, Row

VERSIONS = ("pytest", "requests", "httptools", "xllamacpp", "gguf")

HEALTHY_HEAD = ("healthy engine", "runs", "tests", "of them skipped", "as known", "false alarms", "s")
FAULT_HEAD = ("fault", "family", "does", "verdict", "killed by", "tests asked", "s")
LEGEND = "A named killer is **bold** when it turned red, ~~struck~~ when it stayed green. The others turned red, too."


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One program run."""

    target: str  # stub or proxy
    part: str  # faults or healthy
    date: str
    commit: str
    versions: dict[str, str]
    command: str
    rows: tuple[Row, ...]
    healthy: tuple[Healthy, ...]
    wall_s: float

    @property
    def survivors(self) -> tuple[Row, ...]:
        return tuple(r for r in self.rows if r.verdict == "SURVIVED")

    @property
    def alarms(self) -> int:
        return sum(len(h.alarms) for h in self.healthy)

    @property
    def as_known(self) -> int:
        return sum(len(r.as_known) for r in self.rows) + sum(len(h.as_known) for h in self.healthy)


def report(
    target: str, part: str, command: str, *, rows: Sequence[Row] = (), healthy: Sequence[Healthy] = (), wall_s: float
) -> Report:
    commit = read_commit()
    return Report(
        target=target,
        part=part,
        date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        commit=commit,
        versions={"python": platform.python_version(), **{name: version(name) for name in VERSIONS}},
        command=command,
        rows=tuple(replace(row, commit=commit) for row in rows),
        healthy=tuple(replace(each, commits=(commit,)) for each in healthy),
        wall_s=round(wall_s, 1),
    )


def read_commit() -> str:
    """HEAD, and whether the tree had changes that no commit holds; what is written here are not among them."""
    head = _git("rev-parse", "--short=12", "HEAD")
    return (
        f"{head}+changes"
        if _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/evidence")
        else head
    )


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False, cwd=CHECKOUT)
    return done.stdout.strip()


def as_json(made: Report) -> str:
    document: dict[str, Any] = asdict(made)
    for fields, row in zip(document["rows"], made.rows, strict=True):
        fields |= {"verdict": row.verdict, "missed_by": list(row.missed_by), "wall_s": round(row.wall_s, 1)}
    for fields in document["healthy"]:
        fields["wall_s"] = round(fields["wall_s"], 1)
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def read(text: str) -> Report:
    """Read a report from its JSON; what was derived is derived again."""
    fields = json.loads(text)
    told = [{"commit": fields["commit"], **row} for row in fields.pop("rows")]
    rows = tuple(_row(r) for r in told)
    healthy = tuple(_healthy({"commits": [fields["commit"]], **h}) for h in fields.pop("healthy"))
    return Report(**fields, rows=rows, healthy=healthy)


def _row(fields: dict[str, Any]) -> Row:
    kept = {k: _tuple(fields[k]) for k in Row.__slots__ if k in fields}
    return Row(**{**kept, "as_known": _as_known(fields)})


def _healthy(fields: dict[str, Any]) -> Healthy:
    listed = {name: tuple(fields[name]) for name in ("seeds", "commits")}
    alarms = tuple(Alarm(**a) for a in fields["alarms"])
    return Healthy(**{**fields, **listed, "alarms": alarms, "as_known": _as_known(fields)})


def _as_known(fields: dict[str, Any]) -> tuple[AsKnown, ...]:
    return tuple(AsKnown(**one) for one in fields.get("as_known", ()))


def with_earlier(made: Report, earlier: Report) -> Report:
    """Rows of faults that were not asked again are kept, each with its own date; healthy runs are added up."""
    before = {h.on: h for h in earlier.healthy}
    healthy = tuple(h.and_earlier(before.pop(h.on)) if h.on in before else h for h in made.healthy)
    again = {row.fault: row for row in made.rows}
    kept = [again.pop(row.fault, row) for row in earlier.rows]
    return replace(
        made, rows=(*kept, *again.values()), healthy=(*healthy, *before.values()), wall_s=made.wall_s + earlier.wall_s
    )


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def page(reports: Iterable[Report]) -> str:
    """One page for all that was run, with the sums first."""
    made = sorted(reports, key=lambda r: (r.part, r.target))
    rows = [row for one in made for row in one.rows]
    runs = sum(h.runs for one in made for h in one.healthy)
    alarms = (
        f"{sum(r.alarms for r in made)} false alarms in {runs} healthy runs"
        if runs
        else "No healthy runs are recorded here"
    )
    known = sum(r.as_known for r in made)
    aside = f" {known} tests failed as a known failure describes: they are neither kills nor alarms." if known else ""
    head = f"**{counts(rows)}. {alarms}.**{aside}"
    return "\n".join(["# Kill table", "", head, "", LEGEND, "", *(as_markdown(r) for r in made)]).rstrip() + "\n"


def counts(rows: Iterable[Row]) -> str:
    """`48 of 48 killed, 1 invisible`: faults that nothing can notice do not count."""
    made = list(rows)
    counted = [r for r in made if r.verdict != "invisible"]
    killed = sum(r.verdict == "killed" for r in counted)
    hidden = len(made) - len(counted)
    return f"{killed} of {len(counted)} killed" + (f", {hidden} invisible by design" if hidden else "")


def as_markdown(made: Report) -> str:
    lines = [
        f"## {made.target}, {made.part}",
        "",
        f"{made.date}, commit `{made.commit}`, {made.wall_s:.0f} s. Made by `{made.command}`; do not edit.",
        "",
        "Versions: " + ", ".join(f"{k} {v}" for k, v in made.versions.items()) + ".",
        "",
    ]
    if len(commits := Counter(row.commit for row in made.rows)) > 1:
        lines += ["Rows by commit: " + ", ".join(f"`{commit}` {n}" for commit, n in commits.items()) + ".", ""]
    if len(runs := dict.fromkeys(commit for each in made.healthy for commit in each.commits)) > 1:
        lines += ["Runs of the commits " + ", ".join(f"`{commit}`" for commit in runs) + ".", ""]
    if made.healthy:
        told = (
            (h.on, h.runs, h.tests, h.skipped, len(h.as_known), len(h.alarms), f"{h.wall_s:.0f}") for h in made.healthy
        )
        lines += [format_markdown_table(HEALTHY_HEAD, told).rstrip()]
    if made.rows:
        left = sorted({"proxy": FAULTS, "stub": DEFECTS}[made.target].keys() - {row.fault for row in made.rows})
        skipped = f" Not asked: {', '.join(left)}." if left else ""
        lines += [f"{counts(made.rows)}.{skipped}", ""]
        lines += [format_markdown_table(FAULT_HEAD, map(_columns, made.rows)).rstrip()]
    alarms = [f"- {h.on}, seed {a.seed}, `{a.test}`: {_flat(a.said)}" for h in made.healthy for a in h.alarms]
    lines += ["", "False alarms:", "", *alarms] if alarms else []
    known = [f"- {h.on}, seed {k.seed}, `{k.test}`: {k.entry}" for h in made.healthy for k in h.as_known]
    lines += ["", "Failed as known:", "", *known] if known else []
    return "\n".join(lines) + "\n"


def _columns(row: Row) -> tuple[object, ...]:
    named = [f"**{t}**" if t in row.killed_by else f"~~{t}~~" for t in row.named]
    others = [t for t in row.killed_by if t not in row.named]
    known = [f"{k.test} as {k.entry}" for k in row.as_known]
    killers = ", ".join([*named, *others]) or row.invisible or "nobody"
    killers += f"; failed as known: {', '.join(known)}" if known else ""
    return row.fault, row.family, _flat(row.does), row.verdict, killers, len(row.asked), f"{row.wall_s:.1f}"


def _flat(text: str) -> str:
    return escape_cell(text).replace("<", "&lt;")
