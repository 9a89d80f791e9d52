"""What evidence timed."""

from __future__ import annotations

from pathlib import Path

from reports.planning.timed import time_records
from tests.reports.world import PLAIN, Json, green, seal

FILE = Path("night.jsonl")


def timed(**launch: object) -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    fields: list[Json] = [r | launch if r["kind"] == "launch" else r for r in green()]
    found = time_records([(FILE, seal(fields))])
    return {k: v.seconds for k, v in found.launches.items()}, {k: v.seconds for k, v in found.suites.items()}


def test_a_launch_is_known_by_its_fingerprint_and_a_cell_by_its_depth() -> None:
    launches, suites = timed(launch_s=12.5)
    assert set(launches.values()) == {12.5}
    assert (PLAIN, "quick") in suites or (PLAIN, "") in suites
    source = next(iter(time_records([(FILE, seal(green()))]).launches.values())).source
    assert source == "night.jsonl, run r1"


def test_a_stub_an_attached_engine_and_a_failed_launch_time_nothing() -> None:
    for launch in ({"stub": True}, {"attached": True}, {"outcome": "EngineExited"}):
        assert not timed(launch_s=9.0, **launch)[0]
    assert not timed(launch_s=9.0, stub=True)[1]


def test_a_cell_with_a_failure_is_not_timed() -> None:
    fields = green()
    bad = next(r for r in fields if r["kind"] == "result" and r["cell"] == PLAIN)
    bad["status"] = "FAIL"
    assert not [k for k in time_records([(FILE, seal(fields))]).suites if k[0] == PLAIN]
