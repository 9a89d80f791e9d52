"""How often an answer lies: the stated rates by which a search weighs passes and failures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

LEAST, MOST = 0.001, 0.999  # a rate of 0 or 1 would let one answer decide for ever


@dataclass(frozen=True, slots=True)
class FlakeModel:
    """A bad release fails a boot at least `fails` of the time, a good one at most `alarm` of the time.

    The error of a search holds for every true rate beyond these two: see docs/decisions/0053.

    Raises:
        ValueError: the rates are no rates, or a failure would not speak for a bad release.
    """

    fails: float = 0.8
    alarm: float = 0.01

    def __post_init__(self) -> None:
        # where a good release fails as often as a bad one, no number of boots tells them apart
        if not LEAST <= self.alarm < self.fails <= MOST:
            raise ValueError(
                f"expected {LEAST} <= false alarms < failures of a bad release <= {MOST},"
                f" got {self.alarm:g} and {self.fails:g}"
            )

    def weigh(self, failures: int, passes: int, *, bad: bool) -> float:
        """Return the log likelihood (nats) of these answers from a bad release, or from a good one."""
        rate = self.fails if bad else self.alarm
        # log1p keeps the digits that 1 - rate loses where the rate is small
        return failures * math.log(rate) + passes * math.log1p(-rate)

    def tell_bits(self, bad: float) -> float:
        """Return what one boot of a release tells, in bits, where it is bad with this probability."""
        failing = bad * self.fails + (1 - bad) * self.alarm
        return _entropy(failing) - bad * _entropy(self.fails) - (1 - bad) * _entropy(self.alarm)

    @property
    def capacity(self) -> float:
        """The most that one boot can tell, in bits."""
        return max(self.tell_bits(share / SHARES) for share in range(1, SHARES))

    @property
    def bad_nats(self) -> float:
        """What a boot of a bad release tells against its being good, on average, in nats."""
        return _divergence(self.fails, self.alarm)

    @property
    def good_nats(self) -> float:
        """What a boot of a good release tells against its being bad, on average, in nats."""
        return _divergence(self.alarm, self.fails)

    @property
    def likelihood_ratios(self) -> tuple[float, float]:
        """What a failure and a pass add to the log odds (nats) of being bad."""
        return math.log(self.fails / self.alarm), math.log1p(-self.fails) - math.log1p(-self.alarm)


SHARES: Final = 64


def _entropy(rate: float) -> float:
    return -sum(r * math.log2(r) for r in (rate, 1 - rate) if r > 0)


def _divergence(a: float, b: float) -> float:
    return a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b))
