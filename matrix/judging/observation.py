"""What an engine lets be seen of itself, read by its dialect's data (`observe:` of engine.yaml). Text in, facts out.

    fact: {log: REGEX}                    the group named `value` of every matching line
    fact: {log: REGEX, after: REGEX}      only the first match behind each line that matches `after`
    fact: {get: /path, path: a.0.b}       a value of a JSON endpoint; `*` goes through a list
    fact: {metric: NAME}                  a Prometheus counter, added up over its labels; `by: LABEL` keeps them apart

`unit` makes it a size (GiB and MiB become bytes), `echo` says that it only repeats what was asked for, `fallback` what
it means that the line is there, and `expected_when` (a condition) where that is no surprise. `unseen` facts were read
in the engine's source and in no recorded log: they count, and every sighting says so. `from`, `means` and `needs` speak
to people.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from matrix.errors import EngineReplyMalformed

Json = Any
SHOWN_CHARS = 40
SCALE = {"GiB": 2**30, "MiB": 2**20}  # to bytes
UNITS = {"bytes", "tokens", "layers", "experts", "graphs", "seconds", *SCALE}
KEYS = {
    "log",
    "after",
    "get",
    "path",
    "metric",
    "by",
    "unit",
    "echo",
    "from",
    "means",
    "needs",
    "equals",
    "drains",
    "unseen",
    "fallback",
    "expected_when",
}
UNSEEN = ", known from source only"  # a proof that rests on such a line must not look like one that was watched
_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})?\s+(\S+)(?:\s+-?\d+)?\s*$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Rung(StrEnum):
    """The evidence ladder, weakest first. Only an effect (a counter or above) can prove a feature."""

    PARSER = "parser accepted"
    ECHO = "config echoed"
    LOG = "log line"
    COUNTER = "counters and sizes"
    ABLATION = "ablation"
    ORACLE = "direct oracle"

    @property
    def height(self) -> int:
        return list(Rung).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One fact, seen once. Sizes are bytes; `half_step` is how far printed rounding may have moved the value."""

    name: str
    value: str | float
    rung: Rung
    where: str  # "log line 43", "/metrics vllm:x_total", "/props default_generation_settings.n_ctx"
    unit: str = ""
    half_step: float = 0.0
    also: Mapping[str, str] = field(default_factory=dict)  # the pattern's other groups, or the metric's label

    @property
    def number(self) -> float:
        """The value of a fact with a unit, or of a counter."""
        return float(self.value)

    @property
    def low(self) -> float:
        return self.number - self.half_step

    @property
    def high(self) -> float:
        return self.number + self.half_step


Seen = Sequence[Observation]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What was collected from one engine. A source that it does not have is empty, and `missing` says why."""

    log: str = ""
    documents: Mapping[str, Json] = field(default_factory=dict)  # endpoint -> JSON
    metrics: str = ""  # Prometheus text
    missing: Mapping[str, str] = field(default_factory=dict)


def read_observations(dialect: Mapping[str, Mapping[str, Json]], sources: Sources) -> tuple[Observation, ...]:
    """Every fact that the sources show, in the dialect's order, and within a fact in the source's."""
    lines, samples = sources.log.splitlines(), list(_parse_samples(sources.metrics))
    found: list[Observation] = []
    for name, spec in dialect.items():
        if "log" in spec:
            found += _observe_log(name, spec, lines)
        elif "metric" in spec:
            found += _observe_metrics(name, spec, samples)
        elif "path" in spec:
            found += _observe_document(name, spec, sources.documents.get(spec["get"]))
    return tuple(found)


def find_all(seen: Seen, name: str) -> tuple[Observation, ...]:
    """Find all sightings of a fact."""
    return tuple(o for o in seen if o.name == name)


def find_first(seen: Seen, name: str) -> Observation | None:
    """Find the first sighting: of several ranks or caches, the first one logged."""
    return next((o for o in seen if o.name == name), None)


def find_last(seen: Seen, name: str) -> Observation | None:
    """Find the latest sighting, for facts that are logged repeatedly."""
    return next((o for o in reversed(seen) if o.name == name), None)


def count_since(name: str, seen: Seen, before: Seen = ()) -> float | None:
    """How far a counter went since `before`, else since the start; None where the engine has none."""
    end, start = find_last(seen, name), find_last(before, name)
    return None if end is None else end.number - (start.number if start else 0.0)


def list_endpoints(dialect: Mapping[str, Mapping[str, Json]]) -> tuple[str, ...]:
    """JSON endpoints that may be read: those with a `path`, and none that is emptied by reading it."""
    return tuple(dict.fromkeys(s["get"] for s in dialect.values() if "path" in s and not s.get("drains")))


def find_dialect_problems(dialect: Mapping[str, Mapping[str, Json]]) -> list[str]:
    """List what is wrong with a dialect's data, by fact."""
    return [f"{name}: {wrong}" for name, spec in dialect.items() for wrong in _find_spec_problems(spec)]


def _find_spec_problems(spec: Mapping[str, Json]) -> Iterator[str]:
    if unknown := sorted(spec.keys() - KEYS):
        yield f"unknown key {', '.join(unknown)}"
    if len({"log", "get", "metric"} & spec.keys()) != 1:
        yield "needs exactly one of log, get and metric"
    if spec.get("unit", "tokens") not in UNITS:
        yield f"unknown unit {spec['unit']!r}"
    for key in ("log", "after"):
        try:
            pattern = re.compile(spec.get(key, ""))
        except re.error as error:
            yield f"{key} is no regular expression: {error}"
        else:
            if key == "log" and "unit" in spec and "log" in spec and "value" not in pattern.groupindex:
                yield "a size needs a group named value"


def _observe_log(name: str, spec: Mapping[str, Json], lines: Iterable[str]) -> Iterator[Observation]:
    pattern, opens = re.compile(spec["log"]), re.compile(spec["after"]) if "after" in spec else None
    armed = opens is None
    for number, line in enumerate(lines, 1):
        if opens is not None and opens.search(line):
            armed = True
        if armed and (match := pattern.search(line)):
            groups = {k: v for k, v in match.groupdict().items() if v is not None}
            text = groups.pop("value", "seen")
            yield from _make_observation(name, spec, text, where=f"log line {number}", rung=Rung.LOG, also=groups)
            armed = opens is None


def _observe_document(name: str, spec: Mapping[str, Json], document: Json) -> Iterator[Observation]:
    for value in _walk_path(document, spec["path"].split(".")):
        if isinstance(value, (str, int, float)):
            where = f"{spec['get']} {spec['path']}"
            yield from _make_observation(name, spec, str(value), where=where, rung=Rung.LOG)


def _walk_path(value: Json, path: Sequence[str]) -> Iterator[Json]:
    """Everything at a dotted path; a step that does not exist leads nowhere."""
    if not path:
        yield value
        return
    step, rest = path[0], path[1:]
    if isinstance(value, list):
        # A slice, so that an index beyond the end leads nowhere instead of raising.
        chosen = value if step == "*" else value[int(step) : int(step) + 1] if step.isdigit() else []
        for each in chosen:
            yield from _walk_path(each, rest)
    elif isinstance(value, Mapping) and step in value:
        yield from _walk_path(value[step], rest)


def _parse_samples(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    for line in text.splitlines():
        if match := _SAMPLE.match(line):
            yield match[1], dict(_LABEL.findall(match[2] or "")), match[3]


def _observe_metrics(
    name: str, spec: Mapping[str, Json], samples: Sequence[tuple[str, dict[str, str], str]]
) -> Iterator[Observation]:
    own = [(labels, value) for sample, labels, value in samples if sample == spec["metric"]]
    label = spec.get("by", "")
    totals: dict[str, float] = {}
    for labels, value in own:
        key = labels.get(label, "")
        # Added up: with several ranks or models the engine tells one sample for each.
        totals[key] = totals.get(key, 0.0) + _parse_finite(value, f"metric {spec['metric']}")
    for key, total in totals.items():
        also = {label: key} if label else {}
        where = f"metric {spec['metric']}"
        # repr, not str(round()): a count of 2**53 must come back as itself.
        yield from _make_observation(name, spec, repr(total), where=where, rung=Rung.COUNTER, also=also)


def _make_observation(
    name: str, spec: Mapping[str, Json], text: str, *, where: str, rung: Rung, also: Mapping[str, str] | None = None
) -> Iterator[Observation]:
    """Make the observation; yield nothing where a number was expected and is absent."""
    unit, value, half_step = spec.get("unit", ""), text.strip(), 0.0
    place = where + (UNSEEN if spec.get("unseen") else "")
    fact = partial(Observation, name=name, where=place, also=dict(also or {}))
    echo = Rung.ECHO if spec.get("echo") else None
    if not unit and rung is not Rung.COUNTER:
        yield fact(value=value, rung=echo or rung)
        return
    digits, scale = value.replace(",", ""), SCALE.get(unit, 1)
    with suppress(ValueError):
        number = _parse_finite(digits, place, scale)
        # Only of GiB and MiB: bytes and tokens are printed whole.
        half_step = _half_step(digits) * scale if unit in SCALE else 0.0
        unit = "bytes" if unit in SCALE else unit
        yield fact(value=number, rung=echo or Rung.COUNTER, unit=unit, half_step=half_step)


def _parse_finite(digits: str, where: str, scale: int = 1) -> float:
    """Parse the number. NaN and infinities among an engine's counts are its fault; no comparison would notice them.

    Raises:
        EngineReplyMalformed: it is NaN or infinite, or a counter is no number at all.
        ValueError: it is no number where none was promised (a log line, a document).
    """
    try:
        number = float(digits) * scale
    except ValueError:
        if not where.startswith("metric "):
            raise
        number = math.nan
    if not math.isfinite(number):
        raise EngineReplyMalformed(f"{where} is {digits[:SHOWN_CHARS]!r}, which is no number", received=digits)
    return number


def _half_step(digits: str) -> float:
    """Half of the last printed decimal: 65.16 stands for anything from 65.155 to 65.165."""
    decimals = digits.partition(".")[2]
    return 0.5 * 10.0 ** -len(decimals)
