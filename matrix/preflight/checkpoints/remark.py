"""One remark of the linter: the fact, what a user will see of it, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matrix.preflight.verdict import Level, Remark
from matrix.wording import list_first

SHOWN = 4  # names in a message


def make_remark(level: Level, kind: str, subject: str, fact: str, *, effect: str = "", remedy: str = "") -> Remark:
    message = fact + (f"; {effect}" if effect else "") + (f". Remedy: {remedy}" if remedy else "")
    # names come out of strangers' files: a tensor's name may be a megabyte
    return Remark(level=level, kind=kind, where="checkpoint", subject=subject[:120], message=message)


def list_some(names: Iterable[object], shown: int = SHOWN) -> str:
    """List the first few, and how many more.

    >>> list_some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    return list_first([str(name)[:160] for name in names], shown)


def format_ranges(numbers: Iterable[int]) -> str:
    """Numbers as ranges.

    >>> format_ranges([3, 4, 5, 7])
    '3-5, 7'
    """
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return list_some(["-".join(map(str, run)) for run in runs], 12)


def layers_of(numbers: Sequence[int]) -> str:
    """`layer 3` or `layers 3-5, 7`."""
    return f"layer{'s' if len(set(numbers)) > 1 else ''} {format_ranges(numbers)}"
