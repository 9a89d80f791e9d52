"""Judgements as text for somebody who is tired, and as JSON for a program."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from matrix.checking.finding import CheckFinding, CheckReport, LineJudgement
from matrix.checking.rules import Decision, show_value
from matrix.wording import cut_text

WIDTH: Final = 118
SUBJECT_CHARS: Final = WIDTH - 23  # beside the level and the place of a finding
HEADS: Final = {"fine": "FINE", "risky": "RISKY", "unknown": "UNKNOWN", "wrong": "WRONG"}
CHOSEN: Final = {
    "kv": "KV cache dtype",
    "attention": "attention backend",
    "dsa_prefill": "DSA prefill backend",
    "dsa_decode": "DSA decode backend",
    "moe": "MoE backend",
    "moe_layer": "  auto, in the layer",
    "fp4_gemm_chosen": "FP4 GEMM backend",
    "fp8_gemm_chosen": "FP8 GEMM backend",
    "draft_moe": "draft's MoE backend",
    "draft_moe_layer": "  auto, in the layer",
    "page": "page size",
    "indexer_layers": "layers that select",
    "stage_starts": "stages begin at",
}
KINDS: Final = {"wheel": "read in the wheel", "run": "run", "report": "reported", "arithmetic": "arithmetic"}


def render_text(report: CheckReport) -> str:
    """Everything about a text, the worst of each command first."""
    blocks = ["\n".join(_judgement(judgement)) for judgement in report.judgements]
    if report.problems:
        blocks.insert(0, "\n".join(["NOT READ", *(f"  {problem}" for problem in report.problems)]))
    return "\n\n".join(blocks)


def _judgement(judgement: LineJudgement) -> Iterator[str]:
    command = judgement.command
    where = f"{command.where}  " if command.where else ""
    so_far = " SO FAR" if judgement.verdict == "fine" and judgement.undecided else ""  # the last line says what waits
    yield f"{HEADS[judgement.verdict]}{so_far}  {where}{command.entry}"
    yield f"  {judgement.release}, {judgement.rig or 'GPUs not named'}, {judgement.model}"
    yield from _chosen(judgement)
    for before, finding in zip((None, *judgement.findings), judgement.findings, strict=False):
        # notes stand close together: a blank line between each would push what matters off the screen
        if finding.level != "note" or before is None or before.level != "note":
            yield ""
        yield from _render_finding(finding, command.file)
    if judgement.undecided:
        wanted = " and ".join(judgement.waits_for[:3]) or "more facts"
        yield f"\n  {judgement.undecided} further checks wait for {wanted}"


def _chosen(judgement: LineJudgement) -> Iterator[str]:
    """Render what the engine chooses where the line is silent, one value a line with what decides it."""
    if judgement.derived:
        yield "  left to the engine, which chooses"
    for name, value in judgement.derived.items():
        why = judgement.why.get(name, "")
        text = f"{_format_value(value)}{f'   [{why}]' if why else ''}"
        yield from _wrap_lines(f"  {CHOSEN.get(name, name):<22}  ", text, indent=28)


def _render_finding(finding: CheckFinding, file: str) -> Iterator[str]:
    """Render a finding in full; a note in as few lines as it takes, since it changes nothing tonight."""
    if finding.level == "note":
        # one source is enough for something that changes nothing; --json has all
        source = f" [{finding.sources[0]}]" if finding.sources else ""
        yield from _wrap_lines(
            f"NOTE  {cut_text(finding.subject[0], SUBJECT_CHARS)}  ", f"{finding.cause} {finding.remedy}{source}"
        )
        return
    place = (
        f"  ({file}:{finding.line})" if finding.line and file else f"  (line {finding.line})" if finding.line else ""
    )
    subject = cut_text("  ".join(s for s in finding.subject if s), SUBJECT_CHARS)
    yield f"  {finding.level.upper()}  {subject}{place}"
    yield from _wrap_lines("  cause   ", finding.cause)
    if finding.consequence:
        yield from _wrap_lines("  then    ", finding.consequence)
    if finding.remedy:
        yield from _wrap_lines("  do      ", finding.remedy)
    for side in finding.conflict:
        yield from _wrap_lines("  sources disagree: ", f"{side['says']} [{side['source']}]")
    if finding.decided_by is not None:
        yield from _wrap_lines("  source  ", f"{_tell_basis(finding.decided_by)} [{', '.join(finding.sources)}]")


def _tell_basis(decided: Decision) -> str:
    """Say what a finding rests on, when somebody looked, and whether anybody has run it."""
    day = f" {decided.read}" if decided.read else ""
    run = f"; {decided.run}" if decided.kind in ("run", "report") or (decided.kind == "wheel" and decided.read) else ""
    range_ = f"; its range of releases is the report's: {decided.undecided}" if decided.undecided else ""
    return f"{KINDS[decided.kind]}{day}: {decided.fact}{run}{range_}"


def _format_value(value: Any) -> str:
    return show_value(value)


def _wrap_lines(head: str, text: str, indent: int = 12) -> list[str]:
    return (
        textwrap.wrap(
            text,
            WIDTH,
            initial_indent=f"  {head}",
            subsequent_indent=" " * (indent if indent > 12 else min(len(head) + 2, indent)),
            break_long_words=False,
            break_on_hyphens=False,
        )
        or []
    )


def render_json(report: CheckReport) -> str:
    """One object: exit code, problems, and per command its verdict and findings."""
    commands = [_as_data(judgement) for judgement in report.judgements]
    problems = [asdict(problem) for problem in report.problems]
    return json.dumps(
        {"exit_code": report.exit_code, "problems": problems, "commands": commands}, indent=1, default=str
    )


def _as_data(judgement: LineJudgement) -> dict[str, Any]:
    command = judgement.command
    return {
        "verdict": judgement.verdict,
        "where": command.where,
        "entry": command.entry,
        "engine": command.engine,
        "release": judgement.release,
        "rig": judgement.rig,
        "model": judgement.model,
        "argv": [w.text for w in command.argv],
        "derived": {name: _format_value(value) for name, value in judgement.derived.items()},
        "why": dict(judgement.why),
        "undecided": judgement.undecided,
        "waits_for": list(judgement.waits_for),
        "findings": [_finding_data(finding) for finding in judgement.findings],
    }


def _finding_data(finding: CheckFinding) -> dict[str, Any]:
    made = asdict(finding)
    made["decided_by"] = asdict(finding.decided_by) if finding.decided_by else None
    return made
