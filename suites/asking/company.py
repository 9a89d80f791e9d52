"""A company: requests that are served at once, as agents send them: long, short, streamed, whole, and some left early.

The first decode a long reply while the prompts of the others are read, each arrives a little behind the one before it,
and the longest prompt comes last: it is prefilled beside everything else.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from matrix.model import Cell
from matrix.planning.claimed import find_claims
from suites.asking import constraints, lengths, sampling
from suites.asking.depth import Depth

Role = Literal["decodes", "needle", "turn", "call", "leaves"]
ROLES: Final[tuple[Role, ...]] = ("decodes", "needle", "turn", "call", "leaves", "needle", "turn", "needle")
DEPTHS: Final = (0.1, 0.5, 0.9)  # of the needles
TRIALS: Final = 600  # apart from those of the other suites
TURNS: Final = 3  # of the conversations: the last asks for a code behind two answers
DECODED_TOKENS: Final = 256  # of the long reply: the others come and go meanwhile
LEFT_AFTER: Final = 2  # chunks of a stream that is left
SPREAD_S: Final = 0.05  # between two arrivals: a GPU decodes a few tokens of one before it reads the next
STORIES: Final = 3  # long texts to choose from: one in three of a bank is a count
TOP: Final = 5
# At 8 no model stays sure, a canary neither. vLLM refuses more than 2, where OpenAI's range ends; what a launch refuses
# is left out by who asks.
HOT: Final = (8.0, 2.0)
FORM: Final = {
    "type": "object",
    "properties": {"tags": {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 9, "maxItems": 9}},
    "required": ["tags"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """One request of a company. `options` are those of `Client.chat`."""

    role: Role
    item: Item
    options: Mapping[str, Any]

    @property
    def compared(self) -> bool:
        """Whether its answer is held against the one it gives alone: a story may part at any tie."""
        return self.role in ("needle", "turn", "call")


def list_company_lengths(settings: Mapping[str, Any], index_topk: int, depth: Depth) -> tuple[int, ...]:
    """List ascending lengths in tokens, all beyond `index_topk`: just beyond it, at the edges of chunks and pages, and
    those of the depth, as far as the context holds them. Empty where it holds none."""
    shortest = lengths.just_beyond(settings, index_topk)
    if shortest is None:
        return ()
    wanted = {shortest, *depth.company_lengths, *lengths.page_edges(settings, index_topk)}
    if chunk := settings.get("chunk_tokens"):
        wanted |= {round(chunk * edge) for edge in (1 - lengths.EDGE, 1 + lengths.EDGE, 2 + lengths.EDGE)}
    fitting = {lengths.cap_to_context(settings, n) for n in wanted}
    return tuple(sorted(n for n in fitting if n >= shortest))


def numbers_streams(cell: Cell) -> bool:
    """Return whether a stream has logprobs of all of its tokens. llama.cpp's has none of accepted drafts (seen on
    2026.10.11549; `test_numbers_every_token_of_a_stream` says so), where a whole reply has."""
    return not (cell.engine.dialect == "llamacpp" and "mtp" in cell.features)


def make_company(
    bank: Bank, sizes: Sequence[int], guests: int, *, decoded: int = DECODED_TOKENS, numbered: bool = True
) -> tuple[Guest, ...]:
    """Return `guests` requests whose prompts take the lengths `sizes` in turn, in the order of their arrival. The long
    reply may take `decoded` tokens. Streams are asked for logprobs where they are `numbered`."""
    # Drawn before they are sorted: which role gets which length must not depend on the order of arrival.
    made = list(itertools.islice(_draw_guests(bank, sizes, decoded, numbered), guests))
    decoding = [g for g in made if g.role == "decodes"]
    # The longest last, so that its prefill meets everything else at work.
    reading = sorted((g for g in made if g.role != "decodes"), key=lambda g: g.item.tokens_prompt_about or 0)
    return (*decoding, *reading)


def list_others(cell: Cell) -> tuple[Mapping[str, Any], ...]:
    """List options of requests that bring fields of their own: a heat, a limit, a bias, a stop string, a form."""
    every = {**sampling.unnarrowed_fields(cell.engine.dialect), "seed": 7}
    hot = ({"temperature": heat, "extra": every} for heat in HOT)
    form = {"extra": constraints.schema_fields(FORM)} if "constrained_output" in find_claims(cell) else None
    bias, stop = {"extra": {"logit_bias": {"1000": 100}}}, {"extra": {"stop": ["e"]}}
    return tuple(fields for fields in (*hot, {"max_tokens": 1}, bias, stop, form) if fields)


def _draw_guests(bank: Bank, sizes: Sequence[int], decoded: int, numbered: bool) -> Iterator[Guest]:
    longest_first = itertools.cycle(reversed(sizes))
    for number, role in enumerate(itertools.cycle(ROLES)):
        item = _draw_item(bank, role, sizes[0] if role in ("call", "leaves") else next(longest_first), number)
        if item is not None:
            options = _choose_options(role, decoded, streamed=bool(number % 2), numbered=numbered)
            yield Guest(role=role, item=item, options=options)


def _draw_item(bank: Bank, role: Role, tokens: int, number: int) -> Item | None:
    trial = TRIALS + number
    match role:
        case "decodes":
            # a count is as long and has one right end, which a reply that is cut never reaches
            return next((story for story in bank.long_generation(STORIES) if story.answer is None), None)
        case "turn":
            return next(reversed(bank.long_turns(tokens=tokens, turns=TURNS, trial=trial)), None)
        case "call":
            return bank.long_call(tokens=tokens, trial=trial)
        case "needle" | "leaves":
            return bank.needle(tokens=tokens, depth=DEPTHS[number % len(DEPTHS)], trial=trial)


def _choose_options(role: Role, decoded: int, *, streamed: bool, numbered: bool) -> Mapping[str, Any]:
    match role:
        case "decodes":
            return {"stream": True, "max_tokens": decoded}
        case "leaves":
            return {"stream": True, "leave_after": LEFT_AFTER}
        case "call" if streamed:
            return {"stream": True}  # llama.cpp refuses logprobs of a stream with tools
        case _ if streamed and not numbered:
            return {"stream": True}
        case _:
            return {"stream": streamed, "top_logprobs": TOP}
