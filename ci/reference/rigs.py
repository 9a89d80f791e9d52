"""docs/reference/rigs/RIG.md: what `glm-matrix recommend --rig RIG` answers, for people and for search engines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ci.reference.markdown import format_block, format_code, format_table
from matrix.recommending.choose import OfferedLaunch, Recommendation, recommend_launches
from matrix.recommending.numbers import Number
from matrix.recommending.ran import LastRun
from matrix.recommending.render import next_command
from matrix.yaml.loaded import Matrix
from reports.gate.starter import make_starter, render_starter

LINE: Final = re.compile(r":\d+$")  # of a source: it moves with every edit above it
HEAD: Final = """# GLM-5 on {count} x {gpu}

{sentence} The same for your host: `glm-matrix recommend`. Ranks: **ran** here, **published** by somebody, **derived**
(one axis away from such a launch), **expected** (nobody is known to have run it).

"""


def recommend_for_rigs(matrix: Matrix, ran: Mapping[str, LastRun]) -> dict[str, Recommendation]:
    """Recommend launches for every rig with GPUs."""
    return {rig.id: recommend_launches(matrix, rig, ran) for rig in matrix.rigs.values() if rig.gpus}


def make_starters(matrix: Matrix, found: Mapping[str, Recommendation]) -> dict[str, str]:
    """Make the first gate of every rig that launches something, relative to ci/gates/starter."""
    first = {rig: answer.launches[0] for rig, answer in found.items() if answer.launches and not answer.attached}
    return {f"{rig}.yaml": render_starter(make_starter(matrix, launch)) for rig, launch in first.items()}


def make_pages(found: Mapping[str, Recommendation]) -> dict[str, str]:
    """Make a page for each rig, and an index; names are relative to docs/reference."""
    return {"rigs/README.md": _make_index(found), **{f"rigs/{rig}.md": _make_page(r) for rig, r in found.items()}}


def _make_index(found: Mapping[str, Recommendation]) -> str:
    rows = []
    for rig, answer in found.items():
        best = answer.launches[0] if answer.launches else None
        first = f"{best.provenance.level}: {format_code(best.cell.id)}" if best else "nothing"
        rows.append([f"[{rig}]({rig}.md)", f"{answer.rig.gpus} x {answer.rig.gpu.name}", answer.total, first])
    table = format_table(("rig", "hardware", "launches", "first to try"), rows)
    return f"# Rigs: which launch to try first\n\n{table}"


def _make_page(answer: Recommendation) -> str:
    rig = answer.rig
    sentence = f"{len(answer.launches)} of {answer.total} launches that can be tried on `{rig.id}`, best first."
    if why := rig.attach_only:
        sentence = (
            f"Nothing is started on `{rig.id}`: {why}. {len(answer.launches)} of {answer.total} launches that can be"
            " attached to there, best first."
        )
    elif answer.canaries and answer.launches:
        sentence += " No big checkpoint fits, so these are canaries: they test the engine's kernels."
    head = HEAD.format(count=rig.gpus, gpu=rig.gpu.name, sentence=sentence)
    sections = "\n".join(_make_section(n, one) for n, one in enumerate(answer.launches, 1))
    rows = [[b.count, b.what, b.reason] for b in answer.blocked]
    return f"{head}{sections}\n## What blocks the rest\n\n{format_table(('count', 'of', 'reason'), rows)}"


def _make_section(number: int, one: OfferedLaunch) -> str:
    rows = [[n.about, str(n), f"{n.basis}: {format_code(LINE.sub('', n.source))}"] for n in one.numbers]
    known = ", ".join(format_code(k.id) for k in one.known) or "none"
    proven = ", ".join(one.ran.proven) if one.ran and one.ran.proven else "nothing yet"
    return "\n".join(
        [
            f"## {number}. {one.cell.release.title or one.cell.release.id}, {one.cell.checkpoint.title}\n",
            f"{format_code(one.cell.id)}\n",
            f"**{one.provenance.level}**: {one.provenance.why} ({one.provenance.source})\n",
            format_table(("about", "number", "source"), rows),
            *_tell_disputes(one.numbers),
            *(f"Tool calls: {found.describe()} (`{found.command}`).\n" for found in one.faults),
            f"Proven: {proven}. Known failures: {known}. Preflight: {one.preflight}.\n",
            format_block(next_command(one), "bash"),
        ]
    )


def _tell_disputes(numbers: tuple[Number, ...]) -> list[str]:
    return [f"Disputed: {text}\n" for text in dict.fromkeys(n.disputed for n in numbers if n.disputed)]
