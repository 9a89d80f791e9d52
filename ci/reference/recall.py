"""docs/reference/recall.md: which public reports the project would have told before, and which it would have missed."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from ci.reference.markdown import format_code, format_table
from matrix.checking.finding import CheckFinding
from matrix.checking.judge import CheckRequest, judge_command
from matrix.checking.launchers import Command, find_start
from matrix.checking.releases import parse_release
from matrix.checking.rigs import parse_rig
from matrix.checking.sources import read_text
from matrix.checking.variables import words_of
from matrix.checkout import CHECKOUT
from matrix.yaml.structure import require_record

SIBLINGS: Final = Path(__file__).parent / "siblings.yaml"
OF_GUARDS: Final = Path(__file__).parent / "siblings_of_guards.yaml"
OF_TUTORIALS: Final = Path(__file__).parent / "siblings_of_tutorials.yaml"
OF_HOSTS: Final = Path(__file__).parent / "siblings_of_hosts.yaml"
OF_OPERATORS: Final = Path(__file__).parent / "siblings_of_operators.yaml"
OF_STRANGERS: Final = Path(__file__).parent / "siblings_of_strangers.yaml"
OF_SIBLINGS: Final = Path(__file__).parent / "siblings_of_siblings.yaml"
OF_TOOLS: Final = Path(__file__).parent / "siblings_of_tools.yaml"
AFTER_TOOLS: Final = Path(__file__).parent / "siblings_after_tools.yaml"
OF_KINDS: Final = Path(__file__).parent / "siblings_of_kinds.yaml"
OF_THREADS: Final = Path(__file__).parent / "siblings_of_threads.yaml"
OF_LATER: Final = Path(__file__).parent / "siblings_of_later_threads.yaml"
OF_THIRD: Final = Path(__file__).parent / "siblings_of_third_threads.yaml"
DATA: Final = Path(__file__).parent / "recall.yaml"
# As published for GLM-5.1.
PATTERN: Final = "FFSFSSSFSSFFFSSSFFFSFSSSSSSFFSFFSFFSSFFFFFFSFFFFFSFFSSSSSSFSFFFSFSSSFSFFSFFSSS"
# File -> what its lines are, and how many were right on the first run and not by a report alone (counted by hand).
ROUNDS: Final[Mapping[Path, tuple[str, int]]] = {
    SIBLINGS: ("lines that nobody has reported", 21),
    OF_GUARDS: ("lines against the engines' guards", 42),
    OF_TUTORIALS: ("words of older tutorials, and pairs that guides have together", 17),
    OF_HOSTS: ("everyday slips: containers, scripts, names and values", 35),
    OF_OPERATORS: ("what operators type: jobs, units, pods, ports, mounts, ends of lines", 30),
    OF_STRANGERS: ("another habit: several hosts, quoting, units, lists, manifests", 26),
    OF_SIBLINGS: ("siblings of those, asked after those were mended, and further kinds", 51),
    OF_TOOLS: ("other tools around the engines, edge numbers, closed lists inside JSON", 50),
    AFTER_TOOLS: ("siblings of those, asked after those were mended", 28),
    OF_KINDS: ("the kinds of the reports in other words", 31),
    OF_THREADS: ("threads that nobody here had read, found by search", 4),
    OF_LATER: ("more such threads, of a second search", 12),
    OF_THIRD: ("threads, guides and published lines, of a third search (three that nothing tells left out)", 29),
}
AIM: Final = 0.9  # of the rows that are not about hardware
HEAD: Final = """# Recall

{rows} public reports about serving the GLM-5 family, asked of this checkout: a line of our own for each, given to
`check`, or what else would have told. Nothing was run on a GPU for this page. The rows were known when the checks were
written, so a report that nobody here has seen is told less often than these.

{measured}

The right answers of the lines were written before their first run, so *first run* is the honest guess for a line that
nobody here has seen; *today* is after the checks were mended by them. *Predicted* is what a wheel, a run or arithmetic
decides; the rest of *told* is a report with its range. The aim is {aim:.0%} of the first row. The lines against guards
were written by the one who had just written the checks of guards, so their first run says little about a stranger's
line; [guards](guards.md) counts what of the engines' guards is told at all.

"""
Class = Literal["predicted", "listed", "steered", "red", "missed"]
CLASSES: Final[tuple[Class, ...]] = get_args(Class)
MEANING: Final = {
    "predicted": "`check` (or the checkpoint linter) says so, decided by a wheel, a run or arithmetic",
    "listed": "`check` says so, and all that is known is the report and its range of releases",
    "steered": "our recipes do not go there; a line of one's own is not warned",
    "red": "nothing is said before; a test of the suites would surely be red",
    "missed": "nothing would have told",
}


@dataclass(frozen=True, kw_only=True)
class RecallRow:
    """One report, as a line of our own or as what else would have told."""

    id: str
    kind: str
    by: str = ""
    runs: str = ""  # a finding that must not be told: the report says that the line runs
    missed: str = ""
    hardware: bool = False
    ask: Mapping[str, Any] = field(default_factory=dict)
    known: str = ""
    suite: str = ""
    linter: str = ""
    recipe: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RecallFile:
    """recall.yaml."""

    rows: tuple[RecallRow, ...]


@dataclass(frozen=True, kw_only=True)
class ToldRow:
    """A row, what the project does about it today, and why."""

    row: RecallRow
    cls: Class
    why: str


def read_rows() -> list[RecallRow]:
    """All rows of recall.yaml, in file order."""
    return list(require_record(RecallFile, DATA).rows)


def classify_row(row: RecallRow) -> ToldRow:
    """Classify what the project reports for a row, by running the project and not by reading the row."""
    if row.ask:
        return _asked(row)
    if row.linter:
        return ToldRow(row=row, cls="predicted", why=f"the checkpoint linter's remark {format_code(row.linter)}")
    if row.recipe:
        return _steered(row)
    if row.suite:
        return ToldRow(row=row, cls="red", why=format_code(row.suite))
    return ToldRow(row=row, cls="missed", why=row.missed)


def _asked(row: RecallRow) -> ToldRow:
    findings = {finding.id: finding for finding in judge_command(_command(row), _what(row)).findings}
    if row.runs:
        wrong = [f.id for f in findings.values() if f.level == "wrong"]
        if row.runs in findings or wrong:
            return ToldRow(row=row, cls="missed", why=f"told to be wrong, and it runs: {', '.join(wrong)}")
        return ToldRow(row=row, cls="predicted", why=f"runs, and is not told {format_code(row.runs)}")
    found = findings.get(row.by)
    if found is None or found.decided_by is None:
        return ToldRow(row=row, cls="missed", why=f"{format_code(row.by)} is not told")
    cls: Class = "listed" if found.decided_by.kind == "report" else "predicted"
    return ToldRow(row=row, cls=cls, why=f"{format_code(row.by)} ({found.level})")


def _command(row: RecallRow) -> Command:
    start = find_start(words_of(shlex.split(row.ask["line"])))
    assert start is not None, row.id
    return Command(engine=start.engine, entry=start.entry, argv=start.argv, env=start.env)


def _what(row: RecallRow) -> CheckRequest:
    ask = row.ask
    indexers = frozenset(f"model.layers.{layer}.self_attn.indexer.wk.weight" for layer in ask.get("indexers", ()))
    return CheckRequest(
        release=parse_release(ask["release"]),
        host=parse_rig(ask["gpus"]),
        config=ask.get("config"),
        tensors=indexers,
        installed=ask.get("installed", {}),
        files=ask.get("file", {}),
    )


def _steered(row: RecallRow) -> ToldRow:
    path = CHECKOUT / "matrix" / "recipes" / row.recipe["file"]
    if row.recipe["text"] in path.read_text(encoding="utf-8"):
        return ToldRow(
            row=row, cls="steered", why=f"{format_code(row.recipe['text'])} in matrix/recipes/{row.recipe['file']}"
        )
    return ToldRow(row=row, cls="missed", why=f"no recipe names {format_code(row.recipe['text'])}")


@dataclass(frozen=True, kw_only=True)
class Sibling:
    """A line of ours with the answer that was written before it was asked."""

    id: str
    kind: str
    gpus: str
    text: str
    verdicts: tuple[str, ...]
    right: str
    first: str
    release: str = ""
    name: str = "the command line"
    says: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SiblingsFile:
    """The file of them."""

    siblings: tuple[Sibling, ...]


def read_siblings(path: Path = SIBLINGS) -> list[Sibling]:
    """Read the lines of siblings.yaml (or of another file of that form), in file order."""
    return list(require_record(SiblingsFile, path).siblings)


def judge_sibling(sibling: Sibling) -> Class:
    """Classify what `check` makes of it: predicted, listed, or missed (which a false alarm is, too)."""
    # {CR}: our own YAML holds no control characters
    commands, _ = read_text(sibling.text.replace("{P78}", PATTERN).replace("{CR}", "\r"), sibling.name)
    if len(commands) != 1:
        return "missed"
    release = parse_release(sibling.release) if sibling.release else None
    judged = judge_command(commands[0], CheckRequest(release=release, host=parse_rig(sibling.gpus)))
    loud = [finding for finding in judged.findings if finding.level != "note"]
    if judged.verdict not in sibling.verdicts or any(re.search(q, _words(f)) for q in sibling.quiet for f in loud):
        return "missed"
    pool = judged.findings if "fine" in sibling.verdicts else loud
    found = [[f for f in pool if re.search(pattern, _words(f))] for pattern in sibling.says]
    if not all(found):
        return "missed"
    bases = {f.decided_by.kind for fs in found for f in fs if f.decided_by is not None}
    return "listed" if bases == {"report"} else "predicted"


def _words(finding: CheckFinding) -> str:
    return " ".join((*finding.subject, finding.cause, finding.consequence, finding.remedy))


def share_told(told: Sequence[ToldRow]) -> float:
    """Compute the share of rows that are not about hardware and are not missed."""
    counted = [t for t in told if not t.row.hardware]
    return sum(t.cls != "missed" for t in counted) / len(counted)


def _measure_round(path: Path, judged: Sequence[tuple[Sibling, Class]]) -> list[list[Any]]:
    """Two rows: how a round's lines were told on their first run, and how they are told now."""
    title, predicted = ROUNDS[path]
    right = sum(s.first == "right" for s, _ in judged) / len(judged)
    now = Counter(cls for _, cls in judged)
    told = 1 - now["missed"] / len(judged)
    return [
        [f"{title}, first run", len(judged), predicted, f"{right:.0%}"],
        ["the same lines today", len(judged), now["predicted"], f"{told:.0%}"],
    ]


def make_page() -> str:
    """Make the page: the number of reports per kind, and every report with its reason."""
    told = [classify_row(row) for row in read_rows()]
    kinds = list(dict.fromkeys(t.row.kind for t in told))
    counts = {kind: Counter(t.cls for t in told if t.row.kind == kind) for kind in kinds}
    whole = Counter(t.cls for t in told)
    rows = [[kind, sum(counts[kind].values()), *(counts[kind][c] or "-" for c in CLASSES)] for kind in kinds]
    rows.append(["all", len(told), *(whole[c] for c in CLASSES)])
    classes = {path: [(s, judge_sibling(s)) for s in read_siblings(path)] for path in ROUNDS}
    about = [t for t in told if not t.row.hardware]
    measured = [
        [
            "reports that are not about hardware; checks were written from them",
            len(about),
            sum(t.cls == "predicted" for t in about),
            f"{share_told(told):.0%}",
        ]
    ]
    measured += [row for path, judged in classes.items() for row in _measure_round(path, judged)]
    head = HEAD.format(
        rows=len(told),
        aim=AIM,
        measured=format_table(["measured on", "lines", "predicted", "told in some way"], measured),
    )
    meanings = format_table(["class", "what it means"], [[name, MEANING[name]] for name in CLASSES])
    by_kind = format_table(["kind", "reports", *CLASSES], rows)
    reports = format_table(["report", "kind", "class", "by"], [[t.row.id, t.row.kind, t.cls, t.why] for t in told])
    rows = [
        [s.id, s.kind, s.first, now, s.right.replace("|", "\\|")]
        for path in (
            SIBLINGS,
            OF_HOSTS,
            OF_TUTORIALS,
            OF_OPERATORS,
            OF_STRANGERS,
            OF_SIBLINGS,
            OF_TOOLS,
            AFTER_TOOLS,
            OF_KINDS,
            OF_THREADS,
            OF_LATER,
            OF_THIRD,
        )
        for s, now in classes[path]
    ]
    lines = format_table(["line", "kind", "first run", "today", "right answer, and where it is read"], rows)
    parts = [("By kind", by_kind), ("The reports", reports), ("Lines that nobody has reported", lines)]
    return "\n".join([f"{head}{meanings}", *(f"## {title}\n\n{table}" for title, table in parts)])
