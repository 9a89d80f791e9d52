"""Report the evidence for the tolerances of suites.checks.agreement: distances of launches from right and wrong
references.

    glm-matrix tolerances docs/evidence/sm90-h100/*.jsonl reports/out/evidence.jsonl

Read from what test_numbers_agree_with_the_reference recorded and, of runs before that test, from the signatures that
every cell leaves; nothing is launched. Beside the way that a launch was asked for stand all others that were recorded
for the same prompt: other patterns, dense attention, other weights. That is what being wrong looks like.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fixtures.banks import bank_for
from matrix.judging.kl import Divergence, merge_candidates, top_k_kl
from matrix.judging.logprobs import Logprobs, drop_drafted
from matrix.model import Cell
from matrix.output.command_line import CommandLine
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.load import load_matrix
from reports.compare.noise_floor import read_recording
from reports.evidence.files import read_records
from reports.evidence.types import Found
from suites.checks.agreement import CHECK
from suites.measure import references

SIGNATURES = {"signature.short", "signature.long"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One prompt of one launch: its divergence from the right reference, and from each wrong one."""

    cell: Cell
    prompt: str
    dtype: str
    right: Divergence
    wrong: dict[str, Divergence]


def list_agreements(files: Sequence[Path]) -> Iterator[Agreement]:
    """Yield an agreement for every signature in these files whose cell has a reference."""
    matrix = load_matrix()
    cells = {cell.id: cell for cell in expand_matrix(matrix).runnable if cell.checkpoint.canary}
    for file in files:
        for found in _pick_newest([r for r in read_records(file) if isinstance(r, Found) and r.cell in cells]):
            yield from _compare_found(cells[found.cell], make_plan(matrix, cells[found.cell]), found)


def _pick_newest(found: Sequence[Found]) -> list[Found]:
    """Return the records of the newest kind: a signature spells control tokens as the engine does, and keeps one of
    equal spellings."""
    # one kind, never both: the same prompt would count twice, once in worse spelling
    own = [r for r in found if r.check == CHECK]
    return own or [r for r in found if r.check in SIGNATURES and r.test == "test_leaves_a_signature"]


def _read_distributions(found: Found) -> Logprobs:
    return drop_drafted([merge_candidates(p.items(), next(iter(p))) for p in read_recording(found)])


def _compare_found(cell: Cell, planned: Plan, found: Found) -> Iterator[Agreement]:
    bank = bank_for(cell.checkpoint)
    asked = (references.list_keys(cell, planned, bank, one_text=alike) for alike in (False, True))
    keys = {item.id: key for each in asked for key, item in each}
    if (key := keys.get(found.item)) is None:
        return
    # all weights and ways of this prompt: the wrong ones are what a tolerance must keep out
    same = [r for r in references.read_references() if (r["index_topk"], r["item"]) == (key.index_topk, key.item)]
    told = {
        f"{r['weights']} {r['way']}": top_k_kl(references.read_positions(r), _read_distributions(found)) for r in same
    }
    right = told.pop(f"{key.weights} {key.way}")
    dtype = f"{cell.checkpoint.format}, {planned.settings.get('kv_layout')}"
    yield Agreement(cell=cell, prompt=key.item, dtype=dtype, right=right, wrong=told)


def make_parser() -> argparse.ArgumentParser:
    own = CommandLine(prog="glm-matrix tolerances", description=(__doc__ or "").splitlines()[0])
    own.add_argument("files", type=Path, nargs="+", metavar="EVIDENCE.jsonl", help="evidence of canary cells")
    return own


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line for each prompt of each launch."""
    for each in list_agreements(make_parser().parse_args(argv).files):
        wrong = ", ".join(f"{name} {told.mean:.1e}" for name, told in each.wrong.items())
        sys.stdout.write(
            f"{each.cell.id} | {each.prompt} | {each.dtype} | {_format_divergence(each.right)} | {wrong}\n"
        )
    return 0


def _format_divergence(told: Divergence) -> str:
    parted = ", parted" if told.parted else ""
    return f"{told.mean:.1e}, {told.largest:.1e} at most, {told.positions} positions{parted}"


if __name__ == "__main__":
    raise SystemExit(main())
