"""What the parsers of each release answered, as it is kept: one file a pair of parsers, equal answers told once.

runs/releases.json            what each release's answers come from: wheel, digest, day, stand-ins, libraries
runs/<engine>.<pair>.json.gz  {case: [{"releases", "whole", "streams"}]}; `streams` are the different outcomes, with
                              the number of deliveries (`n`) and the first few of them (`how`)
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from packaging.version import Version

RUNS: Final = Path(__file__).with_name("runs")
RELEASES: Final = "releases.json"
SUFFIX: Final = ".json.gz"  # a megabyte of text that is 60 KB; `glm-matrix parsers --case` shows it
NOT_MADE: Final = "*"  # in place of a case: the pair cannot be made in these releases


@dataclass(frozen=True)
class ParserRun:
    """One release's run: what it comes from, and the answers by pair and case."""

    release: str
    about: Mapping[str, Any]
    suites: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Answers:
    """What one pair of parsers of some releases answered to a case."""

    engine: str
    pair: str
    case: str
    releases: tuple[str, ...]
    whole: Mapping[str, Any]
    streams: tuple[Mapping[str, Any], ...]


@cache
def load_releases(folder: Path = RUNS) -> dict[str, dict[str, Any]]:
    """Return what is known of each release that ran, oldest first."""
    path = folder / RELEASES
    found: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


@cache
def load_answers(folder: Path = RUNS) -> tuple[Answers, ...]:
    """Return all recorded answers."""
    found: list[Answers] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        engine, _, pair = path.name.removesuffix(SUFFIX).partition(".")
        for case, groups in read_groups(path).items():
            found += [
                Answers(engine, pair, case, tuple(group["releases"]), group["whole"], tuple(group["streams"]))
                for group in groups
                if case != NOT_MADE
            ]
    return tuple(found)


@cache
def load_refusals(folder: Path = RUNS) -> dict[tuple[str, str], dict[str, str]]:
    """Return (engine, pair) -> release -> why the release could not make the pair: it registers no such name."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        engine, _, pair = path.name.removesuffix(SUFFIX).partition(".")
        for group in read_groups(path).get(NOT_MADE, ()):
            found.setdefault((engine, pair), {}).update(dict.fromkeys(group["releases"], group["whole"]["error"]))
    return found


def save_run(ran: ParserRun, folder: Path = RUNS) -> None:
    """Put a release's answers in the place of its earlier ones."""
    releases = {**load_releases(folder), ran.release: dict(ran.about)}
    ordered = sorted(releases, key=lambda name: (releases[name]["engine"], Version(releases[name]["version"])))
    folder.mkdir(exist_ok=True)
    (folder / RELEASES).write_text(_write_lines({name: releases[name] for name in ordered}), encoding="utf-8")
    for pair, answers in ran.suites.items():
        path = folder / f"{ran.about['engine']}.{pair}{SUFFIX}"
        known = read_groups(path) if path.exists() else {}
        write_groups(path, merge_answers(known, ran.release, answers, ordered))
    load_releases.cache_clear()
    load_answers.cache_clear()
    load_refusals.cache_clear()


def read_groups(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Read one pair's file: case to groups of equal answers."""
    found: dict[str, list[dict[str, Any]]] = json.loads(gzip.decompress(path.read_bytes()))
    return found


def write_groups(path: Path, groups: Mapping[str, list[dict[str, Any]]]) -> None:
    """Write one pair's file; equal answers give equal bytes."""
    # without the time: git would see a change in every file of every run
    path.write_bytes(gzip.compress(json.dumps(groups, ensure_ascii=False).encode("utf-8"), mtime=0))


def merge_answers(
    known: Mapping[str, Any], release: str, answers: Mapping[str, Any], order: list[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the groups of each case with the release's answers among them, and nowhere else."""
    # as a case of its own, so that releases whose pair cannot be made are grouped like the others
    if "error" in answers:
        answers = {NOT_MADE: {"whole": {"error": answers["error"]}, "streams": []}}
    merged: dict[str, list[dict[str, Any]]] = {}
    for case in [*answers, *(case for case in known if case not in answers)]:
        # first out of all groups: run again, a release may answer otherwise, and must not stand in two
        groups = [_without(group, release) for group in known.get(case, [])]
        if case in answers:
            same = next(
                (g for g in groups if (g["whole"], g["streams"]) == (answers[case]["whole"], answers[case]["streams"])),
                None,
            )
            if same is None:
                groups.append(same := {"releases": [], **answers[case]})
            same["releases"] = sorted([*same["releases"], release], key=order.index)
        kept = [group for group in groups if group["releases"]]
        if kept:
            merged[case] = sorted(kept, key=lambda group: order.index(group["releases"][0]))
    return merged


def _without(group: Mapping[str, Any], release: str) -> dict[str, Any]:
    return {**group, "releases": [name for name in group["releases"] if name != release]}


def _write_lines(document: Mapping[str, Any]) -> str:
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in document.items())
    return f"{{\n{lines}\n}}\n"
