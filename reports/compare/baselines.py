"""Reads what the same cells measured before, from plain evidence files, concatenated unchanged. Each launch gives one
value.

pytest -m sm120 --baseline baselines/sm120.jsonl        and afterwards, if it was green:
cat reports/out/evidence.jsonl >> baselines/sm120.jsonl

A launch of another plan, on other hardware, or of which neither is known, is no baseline (`fitting`): a number that was
measured elsewhere makes a slow engine fast, or a fast one slow.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from matrix.errors import ConfigError, Problem
from reports.evidence import files as evidence
from reports.evidence.attempts import order_by_time
from reports.evidence.types import Launch, Measured, Record, Run

NOT_COMPARED: Final = ("client_fit", "attempt")  # of the client and of the test, not of what is measured
PATTERNS: Final = ("*.jsonl", "*.jsonl.gz")  # of the files of a folder


class MeasurementKey(NamedTuple):
    """What was measured: numbers of one key can be compared."""

    cell: str
    name: str
    conditions: str  # canonical JSON

    @property
    def where(self) -> Mapping[str, Any]:
        found: dict[str, Any] = json.loads(self.conditions)
        return found


class Launched(NamedTuple):
    """One launch: its number among the launches of a plan in a run, and its hardware."""

    run: str
    number: int
    fingerprint: str = ""
    gpus: tuple[str, ...] = ()  # names, each once
    cpu: str = ""  # where there is no GPU

    def explain_misfit(self, fingerprint: str, gpus: Sequence[str], cpu: str) -> str:
        """Explain why this launch is no baseline for that plan on that hardware; empty where it is one."""
        if not self.fingerprint or not (self.gpus or self.cpu):
            return f"of which {'the plan' if not self.fingerprint else 'the host'} was not recorded"
        if self.fingerprint != fingerprint:
            return f"of another plan ({self.fingerprint}, and not {fingerprint})"
        mine, theirs = " and ".join(gpus) or cpu, " and ".join(self.gpus) or self.cpu
        return "" if mine == theirs else f"on other hardware ({theirs}, and not {mine or 'an unknown host'})"


@dataclass(frozen=True, slots=True)
class Earlier:
    """What earlier launches measured: one value for each. `release` is that of another release, empty for the cell's
    own."""

    values: Sequence[float]
    release: str = ""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Measured values by cell, name and conditions, and within these by launch."""

    values: Mapping[MeasurementKey, Mapping[Launched, Sequence[float]]] = field(default_factory=dict)
    is_folder: bool = False  # a collection, which need not be about the cells at hand

    def list_launches(self, cell: str, name: str, conditions: Mapping[str, Any]) -> list[float]:
        """Return one value per earlier launch; the median where a launch was measured twice."""
        return self.list_values(make_key(cell, name, conditions))

    def find_earlier(self, cell: str, name: str, conditions: Mapping[str, Any]) -> Earlier:
        """Return what `launches` returns, and whose launches these are."""
        return Earlier(self.list_launches(cell, name, conditions))

    def list_values(self, key: MeasurementKey) -> list[float]:
        return [statistics.median(values) for values in self.values.get(key, {}).values()]

    @property
    def cells(self) -> frozenset[str]:
        return frozenset(key.cell for key in self.values)

    def without_runs(self, runs: Iterable[str]) -> Baseline:
        """Drop the values of these runs, so that no run is its own baseline."""
        left_out = frozenset(runs)
        kept = {k: {at: v for at, v in own.items() if at.run not in left_out} for k, own in self.values.items()}
        return Baseline({k: own for k, own in kept.items() if own})

    def select_fitting(self, cell: str, fingerprint: str, gpus: Sequence[str], cpu: str) -> Fitting:
        """Select the values of this cell's plan on such hardware, and explain why the others were left out."""
        kept: dict[MeasurementKey, dict[Launched, Sequence[float]]] = {}
        whys: Counter[str] = Counter()
        seen: set[Launched] = set()
        for key, launches in self.values.items():
            for at, values in launches.items() if key.cell == cell else ():
                why = at.explain_misfit(fingerprint, gpus, cpu)
                if not why:
                    kept.setdefault(key, {})[at] = values
                elif at not in seen:
                    whys[why] += 1
                seen.add(at)
        return Fitting(baseline=Baseline(kept), refused=tuple(f"{n} launches {why}" for why, n in whys.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """The part of a baseline with which one cell can be compared."""

    baseline: Baseline
    refused: tuple[str, ...]  # `2 launches of another plan (f0, and not f1)`


def find_files(paths: Iterable[Path]) -> list[Path]:
    """List the evidence files, and those in the given folders, by name.

    Raises:
        ConfigError: there is no such file or folder.
    """
    given = list(paths)
    if absent := [p for p in given if not p.exists()]:
        why = "there is no such file or folder of earlier launches"
        raise ConfigError([Problem(str(p), 0, "", why) for p in absent])
    return [f for p in given for f in (sorted(f for s in PATTERNS for f in p.glob(s)) if p.is_dir() else [p])]


def digest_files(paths: Iterable[Path]) -> tuple[str, ...]:
    """Compute the sha256 of each file, sorted, so that a run can name its baselines."""
    return tuple(sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in find_files(paths)))


def read_baseline(paths: Iterable[Path]) -> Baseline:
    """Read every measurement of these evidence files, each with the launch before it.

    Raises:
        ConfigError: naming file and line of what is no evidence.
    """
    given = list(paths)
    found = collect_baseline(r for path in find_files(given) for r in evidence.read_records(path))
    return replace(found, is_folder=any(path.is_dir() for path in given))


def collect_baseline(records: Iterable[Record]) -> Baseline:
    """Collect every measurement of these records, each with the launch before it."""
    ordered = order_by_time(records)
    hosts = {r.run: r.host for r in ordered if isinstance(r, Run)}
    found: dict[MeasurementKey, dict[Launched, list[float]]] = {}
    launches: Counter[tuple[str, str]] = Counter()  # by run and fingerprint, so far
    for record in ordered:
        launched = record.run, record.fingerprint
        if isinstance(record, Launch):
            launches[launched] += 1
        elif isinstance(record, Measured):
            gpus, cpu = name_hardware(hosts.get(record.run, {}))
            at = Launched(record.run, launches[launched], record.fingerprint, gpus, cpu)
            own = found.setdefault(make_key(record.cell, record.name, record.conditions), {})
            own.setdefault(at, []).append(record.value)
    return Baseline(found)


def name_hardware(host: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Name the GPUs of a recorded host, each model once; describe its CPUs where it has no GPU."""
    listed = host.get("gpus")
    gpus = tuple(sorted({str(g.get("name")) for g in listed if isinstance(g, Mapping)})) if listed else ()
    known = host.get("cpu_count") and not gpus
    return gpus, f"{host['cpu_count']} CPU cores, {host.get('machine', 'unknown')}" if known else ""


def make_key(cell: str, name: str, conditions: Mapping[str, Any]) -> MeasurementKey:
    kept = {k: v for k, v in conditions.items() if k not in NOT_COMPARED}
    return MeasurementKey(cell, name, json.dumps(kept, sort_keys=True))
