"""Run the suites against faults, and against engines without one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.canary_bank import CanaryBank
from fixtures.banks.glm5 import Glm5Bank
from fixtures.client import client
from suites.asking.depth import QUICK
from tests.faults.catalogue.fault import Fault
from tests.faults.catalogue.table import FAULTS
from tests.faults.proxy import FaultProxy
from tests.faults.stub.engine import StubEngine
from tests.faults.stub.table import DEFECTS
from tests.faults.suite_tests import (
    BASELINE,
    BY_CONTEXT,
    IDENTITY,
    LAUNCH,
    LOADED,
    OPEN,
    RELEASE,
    RIGHT_UNDER_LOAD,
    SINGLE,
    SWEEP,
)
from tests.mutation.row import Alarm, AsKnown, Healthy, Row
from tests.mutation.seeds import SeededBank
from tests.mutation.target import COSTLY, HASTY_S, PATIENT_S, Real
from tests.suites.world import Outcome, run, suite_tests

BANKS: tuple[Bank, ...] = (Glm5Bank(), CanaryBank())
# Of the stub's defects no test can see in one run, and who does: tests/suites/test_defects.py excuses the same.
EXCUSED = {
    "slow_decode": "no speed is wrong in itself: the baseline judges (see the proxy's performance faults)",
    "never_healthy": "the launcher's to notice (see the proxy's never_healthy)",
}
SLOW_DEFECTS = ("hangs", "stalls_in_stream")  # each test costs the client's whole patience, a load ten minutes
# They start load processes, whose questions no seed changes: asked of each bank in one of ten healthy runs of the stub.
STARTS_A_PROCESS = (SINGLE, LOADED, RIGHT_UNDER_LOAD, BY_CONTEXT, SWEEP, OPEN)
PROCESS_EVERY = 10
SHOWN_CHARS = 300
Say = Callable[[str], None]


def to_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def stub_row(name: str, *, every: bool = True) -> Row:
    """All suite tests on a stub with this defect, or only the named ones."""
    defect, began = DEFECTS[name], time.monotonic()
    asked = tuple(suite_tests()) if every and name not in SLOW_DEFECTS else tuple(dict.fromkeys(defect.kills))
    red = []
    for test in asked:
        with StubEngine(defect=name) as stub:
            bank = next(b for b in BANKS if b.id == defect.bank)
            red += [test] * _is_noticed(run(test, stub, bank))
    return Row(
        on="stub",
        fault=name,
        family=defect.family,
        does=defect.does or FAULTS[name].does,
        named=tuple(dict.fromkeys(defect.kills)),
        asked=asked,
        killed_by=tuple(red),
        wall_s=time.monotonic() - began,
        invisible=EXCUSED.get(name, ""),
    )


def proxy_row(name: str, proxy: FaultProxy, real: Real, *, every: bool = True) -> Row:
    """All suite tests on the real engine with this fault before it."""
    fault, began = FAULTS[name], time.monotonic()
    asked = _asked(fault, real, every)
    if BASELINE in asked:
        proxy.use(None)
        real.take_baseline()
    elif RELEASE in asked:
        proxy.use(None)
        real.baseline = [real.measure()]
    red, known, real.patience_s = [], list[AsKnown](), HASTY_S if fault.slow else PATIENT_S
    for test in asked:
        proxy.use(name)
        outcome = real.run(test)
        known += [AsKnown(test=test, entry=outcome.known)] if outcome.known else []
        if _is_noticed(outcome) and test not in real.blind:
            red.append(test)
    proxy.use(None)
    real.patience_s = PATIENT_S
    return Row(
        on=real.plan.cell.id,
        fault=name,
        family=fault.family,
        does=fault.does,
        named=tuple(dict.fromkeys(fault.kills)),
        asked=asked,
        killed_by=tuple(red),
        wall_s=time.monotonic() - began,
        invisible=fault.invisible,
        as_known=tuple(known),
    )


def _is_noticed(outcome: Outcome) -> bool:
    """Red in the engine's name, and so again from what was kept: what nobody can judge later has not been judged."""
    return outcome.noticed and outcome.replays


def blind(real: Real, faults: Iterable[str], *, every: bool = True, say: Say = to_stderr) -> frozenset[str]:
    """Return those tests, of all that these faults are asked, that fail without a fault: a killer that is always red
    has killed nothing."""
    asked = {test for name in faults for test in _asked(FAULTS[name], real, every)}
    # In the order of the suites, as the faults are asked; the two compare with runs that there are none of yet.
    found = frozenset(t for t in real.names if t in asked - {BASELINE, RELEASE} and real.run(t).red)
    for test in sorted(found):
        say(f"  {test} is red without a fault: it counts for none")
    return found


def _asked(fault: Fault, real: Real, every: bool) -> tuple[str, ...]:
    """Slow faults, the baseline and a company cost too much to be asked in vain."""
    named = tuple(dict.fromkeys(fault.kills))
    if fault.slow or not every:
        return named
    return tuple(n for n in real.names if n in named or n not in (LAUNCH, IDENTITY, BASELINE, RELEASE, *COSTLY))


def healthy_stub(seed: int, say: Say = to_stderr) -> Healthy:
    """Every suite test of one of the two banks."""
    bank: Bank = SeededBank(BANKS[seed % len(BANKS)], seed)

    def ask() -> Iterator[tuple[str, Outcome]]:
        for test in suite_tests():
            if test in STARTS_A_PROCESS and seed % PROCESS_EVERY >= len(BANKS):
                continue
            with StubEngine() as stub:
                yield test, run(test, stub, bank, silence_s=client.SILENCE_S)  # a busy host is no hanging engine

    return _healthy("stub", seed, ask(), say)


def healthy_real(on: str, real: Real, seed: int, say: Say = to_stderr) -> Healthy:
    """Run what `make matrix` asks, and the launch's checks."""
    # A shared host's speed is no verdict (docs/explanation/fault-injection.md); the other is asked from `full` on.
    quick, left_out = replace(real, depth=QUICK), (BASELINE, RELEASE, RIGHT_UNDER_LOAD, *COSTLY)
    asked = (t for t in quick.names if t not in left_out and quick.owes(t))
    return _healthy(on, seed, ((t, quick.run(t, seed)) for t in asked), say)


def _said(outcome: Outcome) -> str:
    if outcome.contradicts:
        return f"it passed, and {outcome.contradicts} expects it to fail always"
    return str(outcome.error) if outcome.red else "what was kept does not lead to the same again"


def _healthy(on: str, seed: int, asked: Iterable[tuple[str, Outcome]], say: Say) -> Healthy:
    began, outcomes = time.monotonic(), list(asked)
    red = tuple(Alarm(seed=seed, test=t, said=_said(o)[:SHOWN_CHARS]) for t, o in outcomes if o.red or not o.replays)
    for alarm in red:
        say(f"  FALSE ALARM on {on}, seed {seed}, {alarm.test}: {alarm.said}")
    known = tuple(AsKnown(seed=seed, test=t, entry=o.known) for t, o in outcomes if o.known)
    for one in known:
        say(f"  as known on {on}, seed {seed}, {one.test}: {one.entry}")
    skipped = sum(isinstance(o.error, pytest.skip.Exception) for _, o in outcomes)
    return Healthy(
        on=on,
        seeds=(seed,),
        tests=len(outcomes),
        skipped=skipped,
        alarms=red,
        as_known=known,
        wall_s=time.monotonic() - began,
    )
