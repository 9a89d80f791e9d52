"""How far an engine's next-token distributions are from a reference's: KL(reference || engine), in nats a position.

An engine lists a handful of candidates, so a distribution is those and one bucket for the rest. Mass decides here;
`matrix.judging.logprobs.measure_distance` takes the largest difference of a logprob, in which a candidate of one in a
million may move by a nat and change nothing that a user could read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matrix.judging.extremes import find_largest
from matrix.judging.logprobs import ABOVE_ONE, Logprobs, chosen_token, list_candidates, pair_until_parted

# Of the mass: what float32 cannot say. llama.cpp was seen to overstate a sure token by 6e-7 of what is left beside it.
REST = 1e-6
HIGHEST = 100.0  # nats: whose exponential is still a float
TINY = 1e-300  # engines give -inf for what a mask forbids; its logarithm must exist
HALVINGS = 100  # down to the last bit of a float, from any start
# Of a guess: how far from it, in proportion, the root is looked for. With a rest of 1e-6, a sum of 1 moves by its last
# bit only from 1e-10 on.
GUESSED = (1e-14, 1e-12, 1e-10, 1e-9)
SMALLEST_GUESS = 1e-6  # below it, HALVINGS may end before the last bit: the whole way is gone, as ever
# llama.cpp spells every control token as empty text, so that one name has to do for all of them.
CONTROL = re.compile(r"<\|\w+\|>|\[\w*MASK\]|<[se]op>")
UNNAMED = ""

Position = Mapping[str, float]  # candidate -> logprob, the chosen one first


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """Nats a position, over those that were compared. `parted`: at the last of them another token was chosen."""

    mean: float
    largest: float
    positions: int
    parted: bool


NOTHING = Divergence(mean=math.inf, largest=math.inf, positions=0, parted=False)


def read_distributions(content: Iterable[Mapping[str, Any]]) -> Logprobs:
    """Read a reply's `logprobs.content` as distributions; candidates with equal spelling add their masses."""
    return [_read_distribution(position) for position in content]


def _read_distribution(position: Mapping[str, Any]) -> Position:
    (first, own), *pairs = list_candidates(position)
    missing = [(first, own)] if first not in dict(pairs) else []
    return merge_candidates([*missing, *pairs], first)


def merge_candidates(pairs: Iterable[tuple[str, float]], first: str) -> dict[str, float]:
    """One entry for each name, all control tokens under one, the chosen one first."""
    # The chosen one keeps the first place, which says what was chosen, whatever the order of the list.
    masses: dict[str, float] = {_name_token(first): 0.0}
    for token, logprob in pairs:
        masses[_name_token(token)] = masses.get(_name_token(token), 0.0) + math.exp(min(logprob, HIGHEST))
    return {name: math.log(mass) if mass != 0 else -math.inf for name, mass in masses.items()}


def _name_token(token: str) -> str:
    return UNNAMED if is_control(token) else token


def is_control(token: str) -> bool:
    """Return whether a token is a control token, in any engine's spelling."""
    return token == UNNAMED or CONTROL.fullmatch(token) is not None


def top_k_kl(reference: Logprobs, found: Logprobs) -> Divergence:
    """KL over the positions until the two part. Infinite where there is nothing to compare."""
    compared = list(pair_until_parted(reference, found))
    if not compared:
        return NOTHING
    each = [position_kl(mine, yours) for mine, yours in compared]
    parted = chosen_token(compared[-1][0]) != chosen_token(compared[-1][1])
    return Divergence(mean=math.fsum(each) / len(each), largest=find_largest(each), positions=len(each), parted=parted)


def position_kl(reference: Position, found: Position) -> float:
    """KL over the reference's candidates and one bucket for all the rest; infinite for what is no distribution.

    Of a reference's candidate that the engine does not list, two things are known: it has at most the mass of the last
    one listed, and shares with the rest what the listing leaves. Of all distributions that agree with that, the one
    nearest to the reference counts, so that the result is a lower bound: a short listing is no alarm by itself, and a
    sure token that is missing from it is one.
    """
    if not (_is_distribution(reference) and _is_distribution(found)):
        return math.inf
    wanted = {token: math.exp(value) for token, value in reference.items()}
    rest = _mass_left(wanted.values())
    # Both add up to a little more or less than 1 (float32, the bucket's floor): KL of such would not be 0 for equals.
    each, seen = _normalise_masses([*wanted.values(), rest]), _normalise_masses(_spread_unlisted(wanted, rest, found))
    # Rounding may leave -1e-17, which would print as a negative distance.
    return find_largest([0.0, math.fsum(p * math.log(p / q) for p, q in zip(each, seen, strict=True))])


def _spread_unlisted(wanted: Mapping[str, float], rest: float, found: Position) -> list[float]:
    """Spread the engine's mass over each wanted candidate and, last, over the rest: in proportion to the
    reference's, as far as the listing allows, where KL is least."""
    listed = {token: math.exp(value) for token, value in found.items()}
    unlisted, least = _mass_left(listed.values()), min(listed.values())
    elsewhere = math.fsum(q for token, q in listed.items() if token not in wanted)

    def shared(factor: float) -> list[float]:
        given = (listed.get(token, min(least, factor * p)) for token, p in wanted.items())
        return [*given, max(elsewhere, factor * rest)]

    # What `shared` adds up to: fsum is exact in any order, so the listed masses need no look-up for each factor.
    known = [listed[token] for token in wanted if token in listed]
    open_ = [p for token, p in wanted.items() if token not in listed]
    # Not 1: an engine may overstate its listing by what float32 rounds.
    total = math.fsum([*listed.values(), unlisted])

    def exceed(factor: float) -> float:
        return math.fsum([*known, *[min(least, factor * p) for p in open_], max(elsewhere, factor * rest)]) - total

    # A sum is above the total from half of the total's last bit on, since it is rounded to the nearest float.
    left = [total, math.ulp(total) / 2, *(-q for q in known)]
    guess = _guess_factor(left, open_, least, (elsewhere, rest))
    return shared(_find_root(exceed, total / rest, guess))


def _guess_factor(left: Sequence[float], open_: Sequence[float], least: float, rest: tuple[float, float]) -> float:
    """Guess the factor at which the unlisted share what is left (the sum of `left`): each line between two corners is
    tried, the first corner first."""
    corners = sorted([*((least / p, p, least) for p in open_ if p), (rest[0] / rest[1], -rest[1], -rest[0])])
    slopes, lacking, within = [*open_], [*left, -rest[0]], math.fsum(left)
    slope, given = math.fsum(open_), rest[0]
    for corner, by, at in corners:
        if slope * corner + given > within:
            break
        # Behind its corner a candidate has the most that it may; the rest grows only from its own on.
        slopes.append(-by)
        lacking.append(-at)
        slope, given = slope - by, given + at
    # Summed once more without rounding: an error in the last bit of 1 would move a factor of 1e-6 by 1e-10 of itself.
    slope = math.fsum(slopes)
    return math.fsum(lacking) / slope if slope > 0 else 0.0


def _find_root(rising: Callable[[float], float], high: float, guess: float = 0.0) -> float:
    """Where a rising function crosses 0, between 0 and `high`: the same float, whatever the guess."""
    low = 0.0
    # A guess is held against the function itself, since its sums were rounded otherwise: 10 values instead of 75.
    if SMALLEST_GUESS < guess < high / 2:
        low = next((x for off in GUESSED if not rising(x := guess * (1 - off)) > 0), low)
        high = next((x for off in GUESSED if low and rising(x := guess * (1 + off)) > 0), high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        final = middle in (low, high)  # no float lies between: every further halving would change nothing
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
        if final:
            break
    return high


def _mass_left(masses: Iterable[float]) -> float:
    """Compute the mass that candidates leave to everything unlisted."""
    return max(1.0 - math.fsum(masses), REST)


def _normalise_masses(masses: Sequence[float]) -> list[float]:
    total = math.fsum(masses)
    return [max(mass, TINY) / total for mass in masses]


def _is_distribution(position: Position) -> bool:
    """NaN compares false, so it is none."""
    return bool(position) and all(value <= ABOVE_ONE for value in position.values())
