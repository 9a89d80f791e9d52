"""A clock that is set back while a run goes on, and a launch that was taken out, show in its last record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reports.evidence.types import End, Launch, Record
from reports.gate.run_end import tell_wrong_end

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


def records(minutes: float, launches: int) -> list[Record]:
    about: dict[str, Any] = {"run": "r", "cell": "c", "fingerprint": "f", "outcome": "ok", "launch_s": 1.0}
    end = {"exit_code": 0, "interrupted": False, "duration_s": 1.0, "records": 1, "sha256": "0"}
    last = End(run="r", t=NOON + timedelta(minutes=minutes), launches=launches, **end)  # type: ignore[arg-type]
    return [Launch(t=NOON, **about), last]


@pytest.mark.parametrize(
    ("minutes", "launches", "rules"),
    [(1, 1, []), (-0.5, 1, []), (-2, 1, ["clock"]), (1, 2, ["seal"]), (1, 0, []), (-2, 2, ["clock", "seal"])],
)
def test_an_end_comes_last_and_counts_no_engine_that_is_not_there(
    minutes: float, launches: int, rules: list[str]
) -> None:
    assert [rule for rule, _ in tell_wrong_end("r", records(minutes, launches))] == rules
