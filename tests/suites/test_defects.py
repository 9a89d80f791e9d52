"""Each named defect turns the suite tests red that it names, and a healthy stub turns none."""

from __future__ import annotations

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.canary_bank import CanaryBank
from fixtures.banks.glm5 import Glm5Bank
from tests.faults.stub.engine import StubEngine
from tests.faults.stub.table import DEFECTS
from tests.faults.suite_tests import BIASED_NAMED, LOADED, SINGLE
from tests.suites.world import Outcome, run, suite_tests

BANKS: dict[str, Bank] = {"glm5": Glm5Bank(), "canary": CanaryBank()}
SLOW = {SINGLE, LOADED}  # each starts a process
KILLS = [
    pytest.param(name, test, id=f"{name}-{test}")
    for name, defect in DEFECTS.items()
    for test in dict.fromkeys(defect.kills)
]


@pytest.mark.parametrize(("defect", "test"), KILLS)
def test_a_defect_is_noticed(defect: str, test: str) -> None:
    with StubEngine(defect=defect) as stub:
        outcome = run(test, stub, BANKS[DEFECTS[defect].bank])
    assert outcome.noticed, f"{defect} survived {test}: {outcome.error!r:.300}"
    assert_replays(outcome)


@pytest.mark.parametrize("test", suite_tests())
@pytest.mark.parametrize("bank", BANKS)
def test_a_healthy_engine_stays_green(test: str, bank: str) -> None:
    with StubEngine() as stub:
        outcome = run(test, stub, BANKS[bank])
    assert outcome.error is None or isinstance(outcome.error, pytest.skip.Exception), outcome.error
    assert_replays(outcome)


def assert_replays(outcome: Outcome) -> None:
    """Assert that what was kept leads to the same again: error, findings, measurements, proofs."""
    assert outcome.again is not None
    assert outcome.again().told == outcome.told


def test_every_defect_but_the_excused_has_a_killer() -> None:
    excused = {"slow_decode", "never_healthy"}  # the baseline's and the launcher's to notice
    assert {name for name, defect in DEFECTS.items() if not defect.kills} == excused


def test_every_killer_is_a_suite_test() -> None:
    named = {test for defect in DEFECTS.values() for test in defect.kills}
    assert named <= suite_tests().keys()


def test_every_suite_test_can_be_turned_red() -> None:
    """An assertion that no defect turns red proves nothing."""
    named = {test for defect in DEFECTS.values() for test in defect.kills}
    # The stub hands out no selection, whose plants are recorded rows, and has no tokenizer: a fault of the proxy.
    # A long context is filled at `release` alone, by the body that fills a canary's.
    excused = {
        "test_fills_a_long_context_to_its_end",
        "test_changes_output_only_beyond_index_topk",
        "test_selects_what_the_reference_selects",
        BIASED_NAMED,
    }
    assert suite_tests().keys() - named == excused
