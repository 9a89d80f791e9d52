"""A launch that crashed and was launched again: red, told once, and excused by nothing but a clause that names it."""

from __future__ import annotations

from datetime import timedelta

from tests.reports import retried, world
from tests.reports.gate.test_gate import changed, is_needle, judge, said
from tests.reports.world import PLAIN, Json


def _relaunched(fields: list[Json]) -> list[Json]:
    launch = next(f for f in fields if f["kind"] == "launch" and f["cell"] == PLAIN)
    again = {**launch, "message": "launch 2, after a crash: it died", "data": {"number": 2, "after": "crash"}}
    at = fields.index(launch) + 1
    return [*fields[:at], again, *fields[at:]]


def test_a_crash_that_a_retry_supersedes_is_told_where_no_test_of_the_cell_met_it() -> None:
    """The test of another cell of the same plan met it; this cell's own questions were answered by the fresh launch."""
    crashed = world.seal(retried.stated(_relaunched(world.green())), "r1")
    red = "its engine crashed in run r1, which no test of this cell tells"
    assert red in said(judge([*crashed, *retried.again()]))
    whole = world.seal(retried.stated(world.green()), "r1")
    assert said(judge([*whole, *retried.again()])) == ""


def test_a_cell_whose_engine_crashed_is_red_although_a_fresh_launch_answered_all() -> None:
    """Of cells that share the launch, each is: the plan that crashed is theirs."""
    said_of = {r.cell: str(r) for r in judge(world.seal(_relaunched(world.green()))).reasons}
    assert said_of == {
        PLAIN: f"{PLAIN}: its engine crashed and was launched again, so that the rest could be asked: "
        "launch 2, after a crash: it died"
    }


def test_a_crash_that_a_known_failure_describes_is_told_as_that() -> None:
    fields = changed(_relaunched(world.green()), is_needle, status="XFAIL", **{**world.FITS, "how": "exit"})
    assert "launched again" not in said(judge(world.seal(fields)))
    assert "launched again" in said(judge(world.seal(changed(fields, is_needle, how="http_status"))))


def test_a_known_crash_excuses_no_earlier_one() -> None:
    """Another cell's test met that one, and the known failure ended the launch that followed it."""
    known = changed(_relaunched(world.green()), is_needle, status="XFAIL", **{**world.FITS, "how": "exit"})
    for later_s, red in ((0, False), (60, True)):
        moment = (world.BEGUN + timedelta(seconds=later_s)).isoformat()
        fields = [f | {"t": moment} if f["kind"] == "result" else f for f in known]
        assert ("launched again" in said(judge(world.seal(fields)))) is red
