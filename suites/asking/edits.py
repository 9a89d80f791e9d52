"""Talks that differ in one word of an earlier turn, as where a user edits what was said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fixtures.banks.item import Item

PUNCTUATION = ".,;:!?"


def pair_talks(items: Sequence[Item]) -> list[tuple[Item, Item]]:
    """Return talks, each with itself edited: another item that ends with the same question gives the word."""
    return list(_pair_talks(items))


def _pair_talks(items: Sequence[Item]) -> Iterator[tuple[Item, Item]]:
    for place, item in enumerate(items):
        alike = (other for other in items[place + 1 :] if other.messages[-1] == item.messages[-1])
        edited = next((made for other in alike if (made := _edit(item, other)) is not None), None)
        if edited is not None:
            yield item, edited


def _edit(item: Item, other: Item) -> Item | None:
    """Return the item with the one word in its earlier turns that the other's answer has in its place."""
    mine, others = ((each.answer or "").split() for each in (item, other))
    differ = [pair for pair in zip(mine, others, strict=False) if pair[0] != pair[1]]
    if len(mine) != len(others) or len(differ) != 1:
        return None
    old, new = (word.strip(PUNCTUATION) for word in differ[0])
    *told, question = item.messages
    edited = [{**m, "content": str(m.get("content")).replace(old, new)} for m in told]
    return replace(item, id=f"{item.id}.edited", messages=(*edited, question), answer=other.answer)
