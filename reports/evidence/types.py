"""Defines the typed records of an evidence file. The table in `reports.evidence.files` describes each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal

from matrix.errors import Problem, suggest_nearest
from matrix.judging.foreign_json import LARGEST_INTEGER
from matrix.judging.status import Status
from matrix.yaml.document import Document
from matrix.yaml.structure import structure_data
from reports.evidence.build import SHAPES, Builder, Odd, build_record, find_line_builder
from reports.evidence.finding import as_json_number

SURROGATE = re.compile("[\ud800-\udfff]")
# 1: before runs said it; 3: state of the source, depth; 4: continues; 5: stop. Readers keep what they do not know.
SCHEMA = 5
WITH_STOPS = 5  # the first that records how engines end
ProofOutcome = Literal["proven", "refuted", "unproven"]
ENDED = "ended"  # the outcome of a stop: the engine had ended by itself
AFTER, CRASH = "after", "crash"  # in the data of a launch that follows the engine's own end
Data = Mapping[str, Any]  # JSON values only, see `as_json_data`


EMPTY: Final[Data] = {}  # one for all: two of its own are a tenth of what a record takes, and nobody writes to a record


def _share_empty() -> Any:
    return EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The fields of every record: time, run, and cell and test where they apply.

    `more` is what a newer writer says of it and this reader does not know.
    """

    t: datetime
    run: str
    cell: str = ""
    fingerprint: str = ""
    test: str = ""
    nodeid: str = ""
    more: Data = field(default_factory=_share_empty)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Record):
    """A record of a kind that a newer writer added. `more` holds all its fields."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost(Record):
    """A line that is no record: torn, or damaged. The reader makes it and no writer writes it; time and run come
    from the line next to it."""

    file: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: this line is lost: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Record):
    """How a run was started and where."""

    argv: tuple[str, ...] = ()
    selection: tuple[str, ...] = ()
    host: Data = field(default_factory=_share_empty)
    versions: Data = field(default_factory=_share_empty)
    matrix_sha256: str = ""
    commit: str = ""
    dirty: bool | None = None  # whether files differed from the commit; None: not known
    diff_sha256: str = ""  # of these differences
    xdist: bool = False
    depth: str = ""  # --depth, by which it is known what its cells owe; "": before runs said it
    schema: int = 1  # of the writer, see `SCHEMA`
    retry_of: str = ""  # the run whose questions this one was asked to ask again
    # run -> sha256 of what it left; this one asks the rest
    continues: Mapping[str, str] = field(default_factory=_share_empty)
    baselines: tuple[str, ...] = ()  # sha256 of each file with earlier launches that speed was held against


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFacts(Record):
    """What a cell is, and the script that launches it."""

    facts: Data = field(default_factory=_share_empty)
    script: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected(Record):
    """What must report for this cell."""

    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch(Record):
    """How starting an engine went."""

    outcome: str
    launch_s: float | None = None
    phases_s: Mapping[str, float] = field(default_factory=_share_empty)
    message: str = ""
    versions: Data = field(default_factory=_share_empty)
    log: str = ""
    command: tuple[str, ...] = ()
    stub: bool = False
    attached: bool = False
    cautions: Data = field(default_factory=_share_empty)  # part of the identity -> what the user accepted instead
    data: Data = field(default_factory=_share_empty)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Record):
    """How an engine ended that was asked to stop (`matrix.judging.engine_end`). Of a plan, and of no cell: the cells of
    one plan share their engine."""

    outcome: str  # clean, trouble, hang, crash; ended: before anybody stopped it
    exit_code: int | None = None
    seconds: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Record):
    """A `reports.evidence.finding.Finding` as recorded."""

    check: str
    ok: bool
    expected: str
    got: str
    item: str = ""
    detail: str = ""
    sensitive: bool = True
    note: str = ""
    data: Data = field(default_factory=_share_empty)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Record):
    """A number with its unit and conditions."""

    name: str
    value: float
    unit: str
    conditions: Data = field(default_factory=_share_empty)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof(Record):
    """Whether a requested feature was really in effect, and the rung of the ladder that decided it."""

    feature: str
    outcome: ProofOutcome
    rung: str
    detail: str = ""
    data: Data = field(default_factory=_share_empty)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Record):
    """The file with what one test sent and received, next to the evidence (`reports.evidence.kept`)."""

    sha256: str = ""  # of its file; "": nothing could be kept
    bytes: int = 0  # of its file
    exchanges: int = 0
    dropped: tuple[str, ...] = ()  # what is not there, and why: the test cannot be replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(Record):
    """The outcome of one test of one cell."""

    status: Status
    duration_s: float = 0.0
    message: str = ""
    known_failure: str = ""
    at: str = ""  # of a failure: before_ready, first_request, attach, relaunch or test
    how: str = ""  # as `fails.how` of a known failure
    http_status: int | None = None
    matched: str = ""  # the lines that the known failure's signature fits


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Record):
    """The run ended by itself or by interrupt; seals the run's other records."""

    exit_code: int
    interrupted: bool
    duration_s: float
    launches: int
    records: int
    sha256: str
    changed: bool | None = None  # whether the source was another one than at the start; None: not known
    source: str = ""  # what it had become: commit and digest of its differences


KINDS: Mapping[str, type[Record]] = {
    "run": Run,
    "cell": CellFacts,
    "expected": Expected,
    "launch": Launch,
    "stop": Stop,
    "finding": Found,
    "measurement": Measured,
    "proof": Proof,
    "kept": Kept,
    "result": Result,
    "end": End,
}
NAMES = {kind: name for name, kind in KINDS.items()}
OWN = {name: frozenset(f.name for f in fields(kind)) - {"more"} for name, kind in KINDS.items()}  # fields, by kind


def suite_of(nodeid: str) -> str:
    """`suites/test_needle.py::test_x[...]` -> `needle`."""
    return _suite_of_file(nodeid.partition("::")[0])


@lru_cache(1_024)  # a page asks it of each test several times, and there are two dozen files
def _suite_of_file(file: str) -> str:
    return file.rpartition("/")[2].removesuffix(".py").removeprefix("test_")


def format_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def parse_record(value: Any, *, newer: bool = False) -> Record:
    """Parse one JSON object into its record. Of a newer writer, unknown kinds and fields are kept.

    Raises:
        ValueError: what is wrong with it, in one line.
    """
    if not isinstance(value, dict | Mapping):  # a dict first: asking an abstract class takes longer
        raise ValueError(f"expected a JSON object, got {value!r:.40}")
    return parse_own({**value}, newer=newer)


def parse_own(said: dict[str, Any], *, newer: bool = False) -> Record:
    """Parse a JSON object as `parse_record` does, of a caller that has no more use for it: it is emptied of what is no
    field.

    Raises:
        ValueError: what is wrong with it, in one line.
    """
    kind = str(said.pop("kind", None))
    # Nearly every record: of this reader's schema, and as it should be. What is anything else is looked at below.
    if kind in KINDS and not newer and "more" not in said and (plain := build_record(KINDS[kind], said)) is not None:
        return plain
    if kind not in KINDS and newer:
        base = {f.name for f in fields(Record)}
        known = {k: v for k, v in said.items() if k in base}
        return _structure_record(
            Unknown, {**known, "kind": kind, "more": {k: v for k, v in said.items() if k not in base}}
        )
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}{suggest_nearest(kind, KINDS)}")
    more = {k: said.pop(k) for k in [*said] if k not in OWN[kind]} if newer else {}
    if "more" in said:
        raise ValueError(f"{kind}: unknown key 'more'")
    return _structure_record(KINDS[kind], {**said, "more": more} if more else said)


def parse_ordinary(said: Any) -> Record | None:
    """Build the record of a JSON object that is as it should be; None where it may be anything else, and of a run,
    which may tell of a newer writer. It is asked of each line, so it calls no more than it must."""
    try:
        builder: Any = _find_ordinary((said["kind"], *said))
        made: Record | None = builder(said) if builder else None
        return made
    except (Odd, KeyError, TypeError, ValueError):
        return None


@lru_cache(SHAPES)
def _find_ordinary(shape: tuple[str, ...]) -> Builder | None:
    kind, *names = shape
    return None if kind == NAMES[Run] else find_line_builder(KINDS, kind, tuple(names))


def _structure_record(kind: type[Record], data: Mapping[str, Any]) -> Record:
    if (plain := build_record(kind, data)) is not None:
        return plain
    problems: list[Problem] = []
    name = NAMES.get(kind) or str(data["kind"])
    found = structure_data(kind, Document(name), data, (), problems)
    if found is None:
        said = (f"{p.where}: {p.message}" if p.where else p.message for p in problems)
        raise ValueError(f"{name}: {'; '.join(said)}")
    return found


def dump_record(found: Record) -> dict[str, Any]:
    """Convert the record to JSON data; fields with their default value are left out."""
    values = {f.name: getattr(found, f.name) for f in fields(found) if not _is_default(f, getattr(found, f.name))}
    more = values.pop("more", {})
    kind = found.kind if isinstance(found, Unknown) else NAMES[type(found)]
    stamped = {**values, **more, "kind": kind, "t": found.t.isoformat(timespec="milliseconds")}
    return {k: as_json_data(v) for k, v in stamped.items()}


def _is_default(of: Field[Any], value: Any) -> bool:
    default = of.default_factory() if of.default_factory is not MISSING else of.default
    return bool(value == default)


def as_json_data(value: Any) -> Any:
    """Convert any value to JSON data: sets are sorted; paths, versions, NaN and infinities become text.

    Where a number must stand (a measurement's value) such text is refused when the record is parsed.
    """
    if isinstance(value, float):
        return as_json_number(value)
    if isinstance(value, int) and abs(value) >= LARGEST_INTEGER:
        return f"an integer of {value.bit_length()} bits"
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(k): as_json_data(v) for k, v in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(as_json_data(v) for v in value)
    if isinstance(value, list | tuple):
        return [as_json_data(v) for v in value]
    return _join_surrogates(str(value))


def _join_surrogates(text: str) -> str:
    """Join two adjacent halves of a surrogate pair, as every reader of the file will; a lone half is kept."""
    if not SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
