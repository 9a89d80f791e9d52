"""The crowd prompt, answered by the numbers of the committed references: as planned, or by another way to attend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fixtures.banks.item import Item
from matrix.judging.logprobs import chosen_token
from suites.measure.recordings import DENSE
from suites.measure.references import HALF, NO_SHARING, SOURCE, read_positions, read_references
from tests.faults.stub.defect import Answer, Asked, Damage, Defect
from tests.faults.suite_tests import SELECTED_ONLY

KIND = "crowd"


def answer_crowd(item: Item, index_topk: int, way: str = NO_SHARING) -> Answer:
    """Return what an engine says that attends in this way."""
    wanted = {"weights": SOURCE, "index_topk": index_topk, "way": way, "item": item.id}
    positions = read_positions(next(r for r in read_references() if wanted.items() <= r.items()))
    content = "".join(map(chosen_token, positions))
    return Answer(content=content, finish_reason="length", positions=tuple(positions))


def _attends(way: str) -> Damage:
    def damage(answer: Answer, asked: Asked) -> Answer:
        if asked.item is None or asked.kind != KIND:
            return answer
        said = answer_crowd(asked.item, asked.index_topk, way)
        return replace(answer, content=said.content, positions=said.positions)

    return damage


DEFECTS: Mapping[str, Defect] = {
    "attends_densely": Defect(
        does="the engine attends to all tokens, not only to the selected index_topk",
        family="attention",
        kills=(SELECTED_ONLY,),
        damage=_attends(DENSE),
        bank="canary",
    ),
    "selects_half_of_index_topk": Defect(
        does="the indexer selects half as many tokens as index_topk says",
        family="attention",
        kills=(SELECTED_ONLY,),
        damage=_attends(HALF),
        bank="canary",
    ),
}
