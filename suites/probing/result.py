"""What a probe found, as text for a person and as JSON for a machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from reports.evidence.defuse import defuse_line
from reports.evidence.finding import Finding
from reports.evidence.redact import redact_text
from suites.probing.identify import ServedModel

RIGHT, WRONG, INCOMPLETE = 0, 1, 3
SHOWN_CHARS: Final = 160


@dataclass(frozen=True, slots=True)
class Answered:
    """One finding about one reply, with the kind of the question."""

    kind: str
    finding: Finding


@dataclass(slots=True)
class Probe:
    """One probe. `failed` holds questions that got no reply: kind, item, the error."""

    url: str
    served: ServedModel
    insecure: bool = False
    answered: list[Answered] = field(default_factory=list)
    failed: list[tuple[str, str, str]] = field(default_factory=list)
    late: list[tuple[str, str, str]] = field(default_factory=list)  # no reply in time: slow or hanging, nobody knows
    stopped: str = ""
    waited_s: float = 0.0
    left_out: str = ""
    tokens: tuple[int, int] = (0, 0)

    @property
    def wrong(self) -> list[Answered]:
        return [a for a in self.answered if not a.finding.ok]

    @property
    def exit_code(self) -> int:
        # Wrong before incomplete: what was seen wrong stays wrong, however little was asked.
        if self.wrong or self.failed:
            return WRONG
        return INCOMPLETE if self.stopped or self.late else RIGHT


def render_text(probe: Probe) -> str:
    return "\n".join([*_tell_identity(probe), *_tell_answers(probe), *_tell_next(probe)]) + "\n"


def _tell_identity(probe: Probe) -> Iterator[str]:
    served = probe.served
    yield f"{probe.url} serves {_show_text(served.model) or 'a model without a name'}"
    engine = served.engine.title if served.engine else "not told (a gateway hides it, or another engine)"
    yield f"  engine      {engine} {_show_text(served.told.version)}".rstrip()
    if served.release:
        which = "nearest on the axes, not the same version" if served.nearest else "on the axes"
        yield f"  release     {served.release.id} ({which})"
    names = ", ".join(c.id for c in served.checkpoints)
    yield f"  checkpoint  {names or 'on no axis: asked what any chat model is asked'}"
    if others := [n for n in served.told.names if n != served.model]:
        yield f"  also serves {_show_text(', '.join(others))}"
    for note in served.notes:
        yield f"  note        {_show_text(note)}"
    if served.stub:
        yield "  note        this is a stub engine: what it answers proves nothing"
    if probe.insecure:
        yield "  note        TLS was not verified: nothing proves which server answered"


def _tell_answers(probe: Probe) -> Iterator[str]:
    if not (probe.answered or probe.failed or probe.late or probe.stopped):
        return
    yield ""
    unasked = [*probe.failed, *probe.late]
    # In the order of the questions, each kind once, whether it was answered or not.
    for kind in dict.fromkeys([*(a.kind for a in probe.answered), *(f[0] for f in unasked)]):
        mine = [a for a in probe.answered if a.kind == kind]
        bad, dead = [a for a in mine if not a.finding.ok], [f for f in unasked if f[0] == kind]
        wrong = bad or any(f[0] == kind for f in probe.failed)
        word, held = (
            "WRONG" if wrong else "late" if dead else "right",
            f"{len(mine) - len(bad)} of {len(mine) + len(dead)}",
        )
        yield f"  {word:<6} {kind:<18} {held} checks"
        for one in bad:
            yield f"         {one.finding.check} ({one.finding.item}): {_show_text(one.finding.detail)}"
            yield f"           got {_show_text(one.finding.got)!r}"
        yield from (f"         no reply ({item}): {_show_text(error)}" for _, item, error in dead)
    yield ""
    yield f"  {probe.tokens[0]} prompt and {probe.tokens[1]} generated tokens were billed" + (
        f"; waited {probe.waited_s:.0f} s as it asked (HTTP 429)" if probe.waited_s else ""
    )
    if probe.left_out:
        yield f"  left out    {_show_text(probe.left_out)}"
    if probe.stopped:
        yield f"  stopped     {_show_text(probe.stopped)}"


def _tell_next(probe: Probe) -> Iterator[str]:
    wrong, asked = len(probe.wrong) + len(probe.failed), len(probe.answered) + len(probe.failed)
    yield ""
    if asked:
        word = "WRONG" if wrong else "right so far"
        late = f" {len(probe.late)} questions had no reply in time." if probe.late else ""
        yield f"{word}: {asked - wrong} of {asked} checks hold.{late} A look, and no evidence for a gate."
    if probe.late:
        yield "next: ask again with --patience 600, or with shorter prompts (--needles 300): it is slow, or it hangs"
    if probe.stopped:
        yield "next: ask again when its limit lets you; --no-questions spends no token"
    yield f"next: {name_next(probe)}"


def name_next(probe: Probe) -> str:
    served = probe.served
    if served.cells:
        first, *more = served.cells
        return f"pytest --endpoint {probe.url} --cells {first}   (keeps every reply; {len(more)} more cells fit)"
    if served.checkpoints and served.release:
        return "no runnable cell has this release and checkpoint: glm-matrix list --excluded says why"
    if served.checkpoints:
        words = " and ".join([*([served.engine.id] if served.engine else []), served.checkpoints[0].id])
        cells = f'glm-matrix list -m "{words}"'
        return f"it tells no release of the axes, so say which cell it is, with --accept-identity version: {cells}"
    return "glm-matrix add checkpoint DIR puts a checkpoint of yours on the axes"


def _show_text(text: str) -> str:
    # Redacted first: a cut line could end inside a secret that no pattern fits any more.
    return defuse_line(redact_text(text), SHOWN_CHARS)


def render_json(probe: Probe) -> str:
    served = probe.served
    document: dict[str, Any] = {
        "url": probe.url,
        "model": served.model,
        "models": list(served.told.names),
        "engine": served.engine.id if served.engine else None,
        "version": served.told.version,
        "release": served.release.id if served.release else None,
        "release_is_nearest": served.nearest,
        "checkpoints": [c.id for c in served.checkpoints],
        "cells": list(served.cells),
        "stub": served.stub,
        "tls_verified": not probe.insecure,
        "checks": [_finding_data(a) for a in probe.answered],
        "no_reply": [{"kind": kind, "item": item, "error": error} for kind, item, error in probe.failed],
        "late": [{"kind": kind, "item": item, "error": error} for kind, item, error in probe.late],
        "stopped": probe.stopped,
        "left_out": probe.left_out,
        "waited_s": probe.waited_s,
        "tokens": {"prompt": probe.tokens[0], "completion": probe.tokens[1]},
        "notes": list(served.notes),
        "exit_code": probe.exit_code,
    }
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"


def _finding_data(answered: Answered) -> dict[str, Any]:
    found = answered.finding
    return {
        "kind": answered.kind,
        "check": found.check,
        "item": found.item,
        "ok": found.ok,
        "detail": redact_text(found.detail),
        "expected": found.expected,
        "got": redact_text(found.got),
    }
