"""What a release chooses by itself for a line: KV type, backends, pages, layers that select."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from matrix.checking.rules import Level, show_value
from matrix.upgrading.news import News
from matrix.upgrading.sides import Side
from matrix.upgrading.truths import find_standing

Values = tuple[Any, ...]
ATTENTION: Final = "Other kernels compute attention: numbers, memory of a token and speed differ."
EXPERTS: Final = "Other kernels compute the experts: numbers and speed differ."
PRODUCTS: Final = "Other kernels multiply: numbers and speed differ."
COMPARE: Final = (
    "Compare answers beyond index_topk and speed before you serve, or name the old one where there still is one."
)


@dataclass(frozen=True)
class Choice:
    """One choice: what it is, the facts that hold it, and what another one means.

    `absent`: without a value a line has none of it; otherwise nobody derived it, and nothing is compared.
    """

    what: str
    names: tuple[str, ...]
    then: str
    level: Level = "risky"
    absent: bool = False

    def values(self, side: Side) -> Values:
        """Return the values of a side; a KV dtype that nobody derives is the one that the line leaves."""
        if self.names == ("kv",):
            # without this every line that leaves the dtype to the release would be one of which nothing is known
            return (side.fact("kv") or side.fact("kv_given") or "auto",)
        return tuple(side.fact(name) for name in self.names)


CHOICES: Final = (
    Choice("type of the KV cache", ("kv",), "Numbers and memory of a token differ."),
    Choice("sparse backends (prefill, decode)", ("dsa_prefill", "dsa_decode"), ATTENTION, absent=True),
    Choice("attention backend", ("attention",), ATTENTION),
    Choice("MoE runner", ("moe",), EXPERTS),
    Choice("MoE kernels", ("moe_layer",), EXPERTS),
    Choice("FP4 products", ("fp4_gemm_chosen",), PRODUCTS),
    Choice("FP8 products", ("fp8_gemm_chosen",), PRODUCTS),
    Choice("MoE runner of the draft", ("draft_moe",), "Acceptance and speed may differ.", absent=True),
    Choice("MoE kernels of the draft", ("draft_moe_layer",), "Acceptance and speed may differ."),
    Choice("tokens of a page", ("page",), "Prefixes are shared in other steps.", "note"),
    Choice(
        "layers that select for themselves", ("indexer_layers",), "Index sharing takes effect, or none.", absent=True
    ),
    Choice("first layers of the stages", ("stage_starts",), "Memory is spread otherwise.", "note", absent=True),
)


def compare_choices(before: Side, after: Side) -> Iterator[News]:
    """Every choice that differs; one that the line writes is the same on both sides."""
    for choice in CHOICES:
        old, new = choice.values(before), choice.values(after)
        if old == new or not _comparable(choice, old, new, before, after):
            continue
        yield _make_news(choice, old, new, before, after)


def _comparable(choice: Choice, old: Values, new: Values, before: Side, after: Side) -> bool:
    """Whether both sides tell."""
    # a value on one side only would be reported as a change, and is a gap in what was read
    if not choice.absent and None in (*old, *new):
        return False
    if any(_unknown(name, before, after) for name in choice.names):
        return False
    # every layer of a sparse side selects: where one side is dense, the change of backends says it
    sharing = before.fact("shares") or after.fact("shares")
    return choice.names != ("indexer_layers",) or bool(sharing) or None not in (*old, *new)


def _unknown(name: str, before: Side, after: Side) -> bool:
    return any(s.fact(name) is None and s.facts.get(name) is not None for s in (before, after))


def _make_news(choice: Choice, old: Values, new: Values, before: Side, after: Side) -> News:
    nothing = {values: not any(v is not None for v in values) for values in (old, new)}
    # what decides on the new side: the old one is known to whoever runs it
    why = after.facts["why"].get(choice.names[0]) or "what it chooses for this GPU, KV type and architecture"
    return News(
        part="backend",
        key=choice.what,
        way="begins" if nothing[old] else "ends" if nothing[new] else "changes",
        danger="other",
        level=choice.level,
        title=choice.what,
        cause=f"{_show_values(old, before)} -> {_show_values(new, after)}.",
        consequence=choice.then,
        remedy=COMPARE,
        decided_by=replace(after.read(f"its own choice: {why}"), run=find_standing(after)),
        sources=(after.snapshot.source,),
    )


def _show_values(values: Values, side: Side) -> str:
    told = [show_value(value) for value in values if value is not None]
    if told:
        return told[0] if len(set(told)) == 1 else ", ".join(told)
    return "none (dense, by the launch's patch)" if side.extra.patches and side.fact("dense") else "none"
