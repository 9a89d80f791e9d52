"""Checks the numbers of a prompt that /v1/completions echoes: those of a prompt from the cache are those computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fixtures.banks.item import Item
from matrix.judging.extremes import find_largest
from reports.evidence.finding import Finding, as_json_number

SHOWN_CHARS: Final = 40
MOST_FAR: Final = 0.1  # of the tokens: a launch's own noise moves a few that nobody would draw


@dataclass(frozen=True, slots=True)
class Echo:
    """What a completion with `echo` returned: its text, and the number of each token, None for the first."""

    text: str
    numbers: tuple[float | None, ...]


def read_echo(document: Mapping[str, Any]) -> Echo:
    """Read a completion as OpenAI's protocol has it; what is not there is empty."""
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) else {}
    told = choice.get("logprobs")
    numbers = told.get("token_logprobs") if isinstance(told, Mapping) else None
    kept = numbers if isinstance(numbers, list) else []
    return Echo(str(choice.get("text") or ""), tuple(n if type(n) in (int, float) else None for n in kept))


def check_echo(item: Item, prompt: str, first: Echo, again: Echo, *, allowed: float, claimed: bool) -> Finding:
    """Check that a prompt is echoed, with a number for each of its tokens, and with the same ones from the cache.

    `claimed`: the engine says that it echoes; elsewhere a reply without the prompt is no evidence.
    """
    # Out of its middle: around a prompt engines show the template's tags, or do not.
    middle = prompt[len(prompt) // 2 :][:SHOWN_CHARS]
    echoed = all(middle in told.text for told in (first, again))
    pairs = zip(first.numbers[1:], again.numbers[1:], strict=False)
    far = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    moved = sum(not each <= allowed for each in far)  # NaN, too
    wrong = list(_find_faults(first, again, moved, len(far))) if echoed else ["the prompt is not echoed"]
    counts = any(wrong) if echoed else claimed
    return Finding(
        check="surfaces.echo",
        ok=not wrong or not counts,
        expected=f"one number for each token of the prompt, twice the same within {allowed:.3g}",
        got=f"{moved} of {len(far)} further apart, {len(first.numbers)} and {len(again.numbers)} numbers",
        item=item.id,
        detail="; ".join(wrong),
        sensitive=echoed or claimed,
        data={"moved": moved, "compared": len(far), "largest": as_json_number(find_largest(far))},
    )


def _find_faults(first: Echo, again: Echo, moved: int, compared: int) -> Sequence[str]:
    if len(first.numbers) != len(again.numbers):
        return [f"{len(first.numbers)} numbers, and {len(again.numbers)} for the same prompt again"]
    missing = sum(n is None for told in (first, again) for n in told.numbers[1:])
    if missing or not compared:
        return [f"{missing} tokens of the prompt have no number" if compared else "the prompt has no numbers"]
    far = moved > MOST_FAR * compared
    return [f"{moved} of {compared} numbers of the prompt are others when it is asked again"] if far else []
