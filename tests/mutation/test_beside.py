"""What depth `first` still notices, by the killers that the kill table confirms: nothing is lost of a fault in every
cell of a run, and what would be missed of a fault that only one cell has is known by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from matrix.model import Cell
from matrix.planning.beside import find_bases, list_owed
from matrix.planning.expand import expand_matrix
from matrix.planning.owed import FIRST, read_owed
from matrix.yaml.load import load_matrix
from tests.faults.catalogue.table import FAULTS
from tests.faults.stub.table import DEFECTS

CPU = [c for c in expand_matrix(load_matrix()).runnable if c.rig.id == "cpu" and c.engine.id == "llamacpp"]
BASES = find_bases(CPU, FIRST)
QUICK = {i.test for i in read_owed().items if i.from_depth == "quick"}
TABLE: Mapping[str, Any] = {**FAULTS, **DEFECTS}
KILLERS = {name: found for name, fault in TABLE.items() if (found := set(fault.kills) & QUICK)}
# Of a fault in one cell only. What sees neither weights nor caches (templates, parsers, limits) is the base's.
SERVER = {"tools", "thinking", "protocol", "features", "lifecycle", "identity", "hostile", "bleed"}
# Sums and earlier turns: the reference's numbers and a few answers stand for them. Neighbours and cached prefixes: one
# slot serves a request after another in every cell. Who is served first in a load is the server's affair, too.
MISSED = {
    *("one_of_a_load_stands_still", "one_slot_crawls", "starves_one_of_a_closed_load"),
    *("forgets_earlier_turns", "forgets_turns", "numbers_off_by_one", "wrong_sums"),
    *("forgets_needle_within_index_topk", "invents_a_needle", "invents_needle"),
    *("dies_of_over_long_prompts", "truncates_over_long_prompts"),
    *("batch_changes_numbers", "cache_changes_numbers", "never_repeats_itself"),
    *("leaks_in_parallel", "needle_altered_under_load", "swaps_in_parallel"),
}


def names_asked_of(cell: Cell) -> set[str]:
    return {i.test for i in list_owed(read_owed(), cell, FIRST, BASES.get(cell))}


def test_a_fault_in_every_cell_is_noticed_as_quick_notices_it() -> None:
    together = {test for cell in CPU for test in names_asked_of(cell)}
    assert all(killers <= together for killers in KILLERS.values())


@pytest.mark.parametrize("beside", BASES, ids=lambda c: c.id)
def test_what_a_fault_of_one_cell_could_hide_behind_is_known_by_name(beside: Cell) -> None:
    missed = {name for name, killers in KILLERS.items() if not killers & names_asked_of(beside)}
    assert {name for name in missed if TABLE[name].family not in SERVER} <= MISSED


def test_what_is_named_as_missed_is_missed() -> None:
    noticed_everywhere = [n for n in MISSED if all(KILLERS[n] & names_asked_of(cell) for cell in BASES)]
    assert noticed_everywhere == []
