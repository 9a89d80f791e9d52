"""Tells what of a certificate holds no more today: a date, a flag, a version, a checkpoint. Pure.

A certificate is of one plan and one engine on one day. Where today's matrix would launch something else, a badge that
still says PASSED is a lie; where it says which flag, a person can judge for themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

from matrix.model import Cell
from matrix.output.script import render_script
from matrix.planning.plan import make_plan
from matrix.yaml.loaded import Matrix
from reports.certify.verify import Certificate
from reports.evidence.versions import find_version

COMMENT: Final = "#"
SHOWN: Final = 4  # changed lines of a launch
FACTS: Final = ("format", "gpu", "gpus")


def find_decay(found: Certificate, matrix: Matrix, cell: Cell | None, today: date) -> list[str]:
    """List what has changed since, the worst first; empty where everything is as it was certified.

    `cell` is today's cell of the same id; None: there is none.
    """
    changed = [f"it expired on {found.expires}"] if found.expires < today else []
    if cell is None:
        return [*changed, "today's matrix runs no such cell"]
    return [
        *changed,
        *_compare_versions(found, cell),
        *_compare_facts(found, cell),
        *_compare_launch(found, matrix, cell),
    ]


def _compare_versions(found: Certificate, cell: Cell) -> Iterator[str]:
    engine = cell.engine.id
    told = find_version(engine, found.part("versions"))
    # What the engine told of itself, not what was asked for. Of one that tells nothing, nothing has changed.
    if told and told != cell.release.version:
        yield f"{engine} is {cell.release.version} today, {told} was certified"


def _compare_facts(found: Certificate, cell: Cell) -> Iterator[str]:
    facts, today = found.part("facts"), cell.facts
    for name in FACTS:
        if name in facts and name in today and facts[name] != today[name]:
            yield f"{name} is {today[name]} today, {facts[name]} was certified"


def _compare_launch(found: Certificate, matrix: Matrix, cell: Cell) -> Iterator[str]:
    """Yield the lines of the launch script that came, went or changed."""
    plan = make_plan(matrix, cell)
    # Equal fingerprints are equal launches, however the script's text has changed since.
    if plan.fingerprint == found.own.get("fingerprint"):
        return
    before, after = _read_settings(str(found.own.get("script") or "")), _read_settings(render_script(plan))
    shared = [name for name in before if name in after and before[name] != after[name]]
    changed = [f"{name} was {before[name]} and is {after[name]}" for name in shared]
    changed += [f"{_join_version(name, value)} is new" for name, value in after.items() if name not in before]
    changed += [f"{_join_version(name, value)} is gone" for name, value in before.items() if name not in after]
    yield from sorted(changed)[:SHOWN]
    if len(changed) > SHOWN:
        yield f"and {len(changed) - SHOWN} more settings of the launch"
    # A fingerprint also covers what no script shows: weights, an image, the merged configuration.
    if not changed:
        yield "the launch is another one (its fingerprint)"


def _join_version(name: str, value: str) -> str:
    return f"{name} {value}".strip()


def _read_settings(script: str) -> dict[str, str]:
    """Read the lines of a launch script as settings: flag or variable -> value."""
    found = {}
    for line in script.splitlines():
        text = line.strip().removesuffix("\\").strip()
        if text and not text.startswith(COMMENT):
            name, _, value = text.removeprefix("export ").partition("=" if text.startswith("export ") else " ")
            found[name] = value
    return found
