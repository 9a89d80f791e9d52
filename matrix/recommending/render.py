"""A recommendation as text for a terminal, as JSON, and as the page of a rig."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from typing import Any, Final

from matrix.parsers.faults import ParserFaults
from matrix.planning.images import explain_tag_alone, find_tag
from matrix.recommending.choose import FACTORS, OfferedLaunch, Recommendation
from matrix.recommending.numbers import Number
from matrix.recorded import KnownFailure

WIDTH: Final = 100  # columns
SHOWN_BLOCKS: Final = 6  # reasons; the rest is counted


def render_text(found: Recommendation, *, model: str = "", notes: tuple[str, ...] = ()) -> str:
    """Format for a terminal. `model`: a directory of weights that the next command names."""
    rig = found.rig
    has = f"{rig.gpus} x {rig.gpu.name}" if rig.gpus else rig.gpu.name
    lines = [f"{rig.id}: {has}", *(_wrap_words(note, "") for note in notes)]
    lines += [_wrap_words(sentence, "") for sentence in _summarise_recommendation(found)]
    for number, one in enumerate(found.launches, 1):
        lines += ["", *_render_launch(number, one, model)]
    return "\n".join([*lines, *_render_blocks(found)])


def _summarise_recommendation(found: Recommendation) -> Iterator[str]:
    if why := found.rig.attach_only:
        yield f"Nothing is started on this rig: {why}."
        yield "Start it there yourself. Any server can be asked: glm-matrix probe http://127.0.0.1:8000"
        if note := found.rig.gpu.notes:
            yield note
    if not found.launches:
        if not why:
            yield "No launch can be offered on this rig."
        return
    if why:
        yield "What the suites can ask of it, one launch each:"
    yield f"{len(found.launches)} of {found.total} launches, ranked by who has run them" + (
        f", then {FACTORS[found.want]}." if found.want else "."
    )
    if found.canaries:
        yield (
            "No big checkpoint can run here. These are canaries, small trained likenesses of GLM-5: they show whether"
            " the engine's kernels are right, not the quality of a big model."
        )


def _render_launch(number: int, one: OfferedLaunch, model: str) -> Iterator[str]:
    yield f"{number}. {one.cell.id}"
    yield _wrap_words(f"{one.provenance.level.upper()}: {one.provenance.why} [{one.provenance.source}]", "   ")
    for n in one.numbers:
        yield _wrap_words(f"{n.about:8} {n} [{n.basis}: {n.source}]", "   ", " " * 12)
    # once for each table: its rows all have the same dispute
    for text in dict.fromkeys(n.disputed for n in one.numbers if n.disputed):
        yield _wrap_words(f"disputed {text}", "   ", " " * 12)
    if not any(n.about == "speed" for n in one.numbers):
        # What is missing and cuts no answer short is of the speed (`LastRun.cut`): it was left out, not forgotten.
        unasked = one.ran is not None and one.ran.missing and not one.ran.cut
        yield f"   speed    {'not asked when it ran, and ' if unasked else ''}no number is known"
    yield _wrap_words(f"proven   {_proven(one)}", "   ", " " * 12)
    for known in one.known:
        yield _wrap_words(f"known    {_describe_known(known)}", "   ", " " * 12)
    for found in one.faults:
        loses = "a client loses calls: " if one.loses_calls else ""
        yield _wrap_words(f"tools    {loses}{found.describe()} [run on a CPU]", "   ", " " * 12)
        yield f"{'':12}{found.command}"  # unbroken, so that it can be pasted
    for note in one.clients:
        yield _wrap_words(f"clients  {note['consequence']} {note['remedy']}", "   ", " " * 12)
    said = f": {one.remarks[0]}" if one.remarks else ""
    yield _wrap_words(f"parser   {one.preflight}{said}", "   ", " " * 12)
    if len(one.cells) > 1:
        others = ", ".join(c.id.rpartition(".")[2] for c in one.cells[1:])
        yield _wrap_words(f"same     this launch also serves: {others}", "   ", " " * 12)
    if alone := tell_image(one):
        yield _wrap_words(f"image    {alone}", "   ", " " * 12)
    yield f"   next     {next_command(one, model)}"


def _proven(one: OfferedLaunch) -> str:
    if one.ran is None or not one.ran.proven:
        return "nothing yet; `pytest --cells ID` proves or refutes it"
    return f"{', '.join(one.ran.proven)} [{one.ran.file}]"


def _describe_known(known: KnownFailure) -> str:
    # its first sentence says what fails; the rest is for whoever meets it
    first = re.split(r"(?<=[.!?]) ", known.symptom, maxsplit=1)[0]
    return f"{known.id} ({known.expect}, {known.fails.at.replace('_', ' ')}): {first}"


def tell_image(one: OfferedLaunch) -> str:
    """Tell what must be done first where the launch runs in an image of which only a tag is known; else nothing."""
    release = one.cell.release
    inside = one.plan.launcher_kind == "docker" and not one.cell.rig.attach_only
    return explain_tag_alone(release) if inside and not release.image_digest and find_tag(release.image or "") else ""


def next_command(one: OfferedLaunch, model: str = "") -> str:
    """Return the exact next command: the launch script of the cell, run; or its suites on a server that runs."""
    if one.cell.rig.attach_only:
        return f"pytest --endpoint http://127.0.0.1:8000 --cells {one.cell.id}"
    given = f"MODEL={shlex.quote(model)} " if model else ""
    return f"glm-matrix show {one.cell.id} > serve.sh && {given}bash serve.sh"


def _render_blocks(found: Recommendation) -> Iterator[str]:
    if not found.blocked:
        return
    yield "\nwhat blocks the rest (`glm-matrix why-not CELL` shows the chain):"
    for block in found.blocked[:SHOWN_BLOCKS]:
        yield _wrap_words(f"{block.count:6,} {block.what}: {block.reason}", "", " " * 7)
    rest = found.blocked[SHOWN_BLOCKS:]
    if rest:
        yield f"{sum(b.count for b in rest):6,} for {len(rest)} more reasons: --json has them all"


def as_json(found: Recommendation, *, model: str = "", notes: tuple[str, ...] = ()) -> dict[str, Any]:
    """Convert to JSON values; every reason is included."""
    return {
        "rig": {"id": found.rig.id, "gpu": found.rig.gpu.name, "gpus": found.rig.gpus, "sm": found.rig.sm},
        "want": found.want,
        "notes": list(notes),
        "canaries_only": found.canaries,
        "offered": found.total,
        "launches": [_launch_json(one, model) for one in found.launches],
        "blocked": [
            {"reason": b.reason, "count": b.count, "what": b.what, "example": b.example} for b in found.blocked
        ],
    }


def _launch_json(one: OfferedLaunch, model: str) -> dict[str, Any]:
    return {
        "cell": one.cell.id,
        "cells": [c.id for c in one.cells],
        "fingerprint": one.plan.fingerprint,
        "provenance": {"level": one.provenance.level, "why": one.provenance.why, "source": one.provenance.source},
        "numbers": [_number_json(n) for n in one.numbers],
        "proven": list(one.ran.proven) if one.ran else [],
        "known_failures": [{"id": k.id, "expect": k.expect, "at": k.fails.at, "issue": k.issue} for k in one.known],
        "parser_faults": [_faults_json(found) for found in one.faults],
        "loses_calls": one.loses_calls,
        "clients": [dict(note) for note in one.clients],
        "preflight": one.preflight,
        "remarks": list(one.remarks),
        "image": tell_image(one),
        "next": next_command(one, model),
    }


def _faults_json(found: ParserFaults) -> dict[str, Any]:
    return {
        "pair": found.pair,
        "cases": found.cases,
        "count": found.count,
        "worst": list(found.worst),
        "severe": sorted(found.severe),
        "command": found.command,
    }


def _number_json(n: Number) -> dict[str, Any]:
    return {
        "about": n.about,
        "what": n.what,
        "value": n.value,
        "unit": n.unit,
        "basis": n.basis,
        "source": n.source,
        "detail": n.detail,
        "conditions": dict(n.conditions),
        **({"disputed": n.disputed} if n.disputed else {}),
    }


def _wrap_words(text: str, indent: str, more: str | None = None) -> str:
    """Lines of at most WIDTH columns; a hyphen is no place to break."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent if more is None else more,
        break_on_hyphens=False,
        break_long_words=False,
    )
