"""Every plan of the real matrix gets a verdict, in seconds."""

from __future__ import annotations

from matrix.expand import expand
from matrix.load import load
from matrix.plan import plan
from matrix.preflight.plans import judge, table
from matrix.preflight.snapshot import snapshot_for

MATRIX = load()


def test_every_runnable_plan_is_accepted_or_honestly_unknown() -> None:
    """A rejected plan must not be runnable: a rule, a recipe or a pin is missing when this fails."""
    cells = {(c.release.id, c.features, c.checkpoint.id, c.rig.gpu.id): c for c in expand(MATRIX).runnable}
    rejected = [str(r) for c in cells.values() if (r := judge(plan(MATRIX, c))).verdict == "reject"]
    assert not rejected, "\n".join(rejected[:5])


def test_unknown_is_only_said_of_releases_that_nobody_can_read() -> None:
    for cell in {c.release.id: c for c in expand(MATRIX).runnable}.values():
        snapshot = snapshot_for(cell.release.id)
        readable = snapshot is not None and snapshot.complete and bool(snapshot.flags)
        assert (judge(plan(MATRIX, cell)).verdict != "unknown") == readable, cell.id


def test_the_table_has_a_row_per_plan_and_names_what_decided() -> None:
    fork = next(c for c in expand(MATRIX).runnable if c.release.id == "sglang_fork_003")
    ((cell, verdict, why),) = table([plan(MATRIX, fork)])
    assert (cell, verdict) == (fork.id, "unknown")
    assert "fork_only: --moe-runner-backend" in why
