"""The ways in which a reply reaches a parser: cut in two at every place, by tokens, in groups as MTP makes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

GROUPS = (1, 2, 3, 5)  # tokens in one delta; more than one where drafts are accepted


def list_deliveries(pieces: Sequence[str]) -> Iterator[tuple[str, list[list[str]], bool]]:
    """Yield (name, deltas, whether the end comes with the last delta) of a reply given as its smallest pieces."""
    everything = list(pieces)
    yield "at once", [everything], False
    # servers end a stream either with the last text or with an empty delta, and parsers flush at one of them
    yield "at once, ended", [everything], True
    for size in GROUPS:
        groups = [everything[i : i + size] for i in range(0, len(everything), size)]
        yield f"by {size}", groups, False
        yield f"by {size}, ended", groups, True
    for cut in range(1, len(everything)):
        yield f"cut at {cut}", [everything[:cut], everything[cut:]], False
