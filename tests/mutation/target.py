"""Where suite tests are run: a stub with a defect, or a real engine behind the proxy."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.banks import bank_for
from fixtures.banks.bank import Bank
from fixtures.client import client
from fixtures.client.client import Client
from fixtures.client.tape import LIVE, RecordingAsker, Tape
from fixtures.launch.attached.attachment import KEY_VARIABLE, Attachment
from fixtures.launch.attached.engine import AttachedLauncher
from fixtures.launch.process.engine import ProcessLauncher
from fixtures.launch.readiness import Limits
from fixtures.launch.running import Running
from matrix.errors import HostError
from matrix.planning.expand import expand_matrix
from matrix.planning.owed import asked_by_marks
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.load import load_matrix
from reports.compare.earlier_release import not_slower_than_release
from reports.compare.slower import BASELINE_LAUNCHES, WATCHED, not_slower
from reports.evidence.finding import Finding
from suites import test_effective
from suites.asking.depth import QUICK, Depth
from suites.measure.rendering import find_token_counter
from tests.faults.proxy import FaultProxy
from tests.faults.suite_tests import (
    BASELINE,
    BOOTS,
    BY_CONTEXT,
    COMPANY,
    EFFECT,
    EFFECTIVE,
    IDENTITY,
    LAUNCH,
    LENGTHS,
    MTP_COMPANY,
    OPEN,
    PREFILL,
    REFERENCE,
    RELEASE,
    SAMPLED,
    SINGLE,
    SOAK,
    STREAMS_BEYOND,
    SWEEP,
    TALK,
)
from tests.mutation.known import apply_known, gather_known
from tests.mutation.seeds import SeededBank
from tests.suites.world import Outcome, Recorder, replay_kept, suite_tests, unwatched

# Two features at once, so that one launch serves every suite. Not IndexCache: sharing costs the canary some calls.
CELL = "cpu.llamacpp_2026_10_11549.canary_bf16.mtp"
FEATURES = frozenset({"mtp", "chunked_prefill"})
# Quick, and what quick leaves out: depth 50 %, several keys and values, trigger F1, more long texts.
DEPTH = replace(
    QUICK,
    needle_depths=(0.2, 0.5, 0.7),
    needle_tiers=("multi_key",),
    recall=3,
    calls=4,
    streamed=4,
    client_calls=14,
    many_tools=1,
    agent_rounds=8,
    structured=1,
    fields=1,
    left_s=2.5,
    exact=3,
    chinese=2,
    loaded_items=8,
    open_shares=(0.5,),
    open_requests=12,
    open_streams=2,
    open_prompt_tokens=32,
    open_output_tokens=16,
    loaded_streams=1,
    loaded_output_tokens=200,
    company=5,
    talks=1,
    talk_turns=4,
    evicting_prompts=1,
)
HASTY_S = 8.0, 16.0  # silence and total, where a fault uses them up; else the product's own patience
PATIENT_S = client.SILENCE_S, client.TOTAL_S
STALL_S = 12.0  # over the hasty silence: the client gives up before the proxy does
LAUNCH_LIMITS = Limits(stall_s=6.0, phase_s=6.0, grace_s=0.1)
BASELINE_RUNS, BASELINE_TRIES = BASELINE_LAUNCHES, 20  # a busy host scatters: until five runs agree
TIMES = ("median_ttft_ms", "median_tpot_ms", "p99_itl_ms")
# Asked by no fault here, and only from --depth full on: lengths and speeds that a shared core makes meaningless.
DEEPER = (BOOTS, SOAK, LENGTHS, BY_CONTEXT, PREFILL, SAMPLED, SWEEP)
# Asked only of the faults that name them: on a shared core a company takes longer than all other tests together.
COSTLY = (OPEN, COMPANY, STREAMS_BEYOND, MTP_COMPANY, TALK)
FROZEN = (EFFECT, EFFECTIVE, REFERENCE)  # compare with what was recorded for the bank as it is
UNHEALTHY = "/health answers HTTP"  # fixtures.launch.attached.greeting
REFUSED = "and nothing was asked of it"  # fixtures.launch.attached.engine, of an identity that is not the cell's
Test = Callable[..., None]


def real_tests() -> dict[str, Test]:
    """Every function of every suite; the stub runs those of tests.suites.world."""
    asked = {n: f for n, f in suite_tests().items() if n not in DEEPER}
    proofs = {n: f for n, f in vars(test_effective).items() if n in FROZEN}
    return {**asked, **proofs}


@dataclass(slots=True)
class Real:
    """One launch, and the way to it: direct or through the proxy."""

    plan: Plan
    engine: Running
    base_url: str
    blind: frozenset[str] = frozenset()  # red without a fault: what they say of one means nothing
    depth: Depth = DEPTH
    patience_s: tuple[float, float] = PATIENT_S
    baseline: list[Mapping[str, float]] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        return (*real_tests(), LAUNCH, IDENTITY, BASELINE, RELEASE)

    def owes(self, name: str) -> bool:
        """Return whether a run asks this test of the cell at all (`for_cells`): what the cell claims nothing of, no
        check can judge. Faults may still name it."""
        marks = getattr(real_tests().get(name), "pytestmark", ())
        return asked_by_marks(m.kwargs for m in marks if m.name == "for_cells").takes_cell(self.plan.cell)

    def bank(self, seed: int = 0) -> Any:
        bank = bank_for(self.plan.cell.checkpoint)
        return SeededBank(bank, seed) if seed else bank

    def run(self, name: str, seed: int = 0) -> Outcome:
        """One test. Those that need the frozen prompts of the recordings get the bank as it is."""
        match name:
            case "launch.ready":
                return _outcome(lambda _: self._become_ready())
            case "attach.identity":
                return _outcome(lambda _: self._identify())
            case "throughput.not_slower":
                return _outcome(self._not_slower)
            case "throughput.not_slower_than_release":
                return _outcome(self._not_slower_than_release)
            case _:
                found = self._taped(name, self.bank(0 if name in FROZEN else seed))
                return apply_known(found, name, _suite_of(name), gather_known(self.plan, self.depth.name))

    def _taped(self, name: str, bank: Bank) -> Outcome:
        """Run a suite's test so that it can be judged again from what was said."""
        source, asked = RecordingAsker(), replace(self)

        def again() -> Outcome:
            replay = replay_kept(source)
            outcome = _outcome(lambda evidence: asked._suite(name, evidence, bank, Tape(replay)))
            assert (replay.missing, replay.unused) == ([], []), name
            return outcome

        found = _outcome(lambda evidence: asked._suite(name, evidence, bank, Tape(source)))
        return replace(found, again=again)

    def _suite(self, name: str, evidence: Recorder, bank: Bank, tape: Tape = LIVE) -> None:
        silence_s, total_s = self.patience_s
        function, running = real_tests()[name], replace(self.engine, base_url=self.base_url, tape=tape)
        with Client(
            self.base_url, self.engine.model, self.engine.api_key, silence_s=silence_s, total_s=total_s, tape=tape
        ) as asker:
            given = {
                "cell": self.plan.cell,
                "plan": self.plan,
                "engine": running,
                "client": asker,
                "bank": bank,
                "client_bank": bank,
                "evidence": evidence,
                "depth": self.depth,
                "boot_count": 1,
                "soak_s": 0.0,
                "token_budget": None,
                "reboot": lambda why: None,
                "rendered": find_token_counter(self.plan.cell.checkpoint, tape),
            }
            given["judged"] = unwatched(given)
            function(**{n: given[n] for n in inspect.signature(function).parameters})

    def _attach(self) -> None:
        told = Attachment(accepts=frozenset({"version"}))  # llama.cpp tells a build number, and no release
        launcher = AttachedLauncher(self.base_url, LAUNCH_LIMITS, {KEY_VARIABLE: self.engine.api_key or ""}, told)
        with launcher.start(self.plan):
            pass

    def _become_ready(self) -> None:
        """Attach; a server that is never healthy is refused before the first question, as the host's matter."""
        try:
            self._attach()
        except HostError as error:
            assert UNHEALTHY not in str(error), str(error)
            raise

    def _identify(self) -> None:
        """Attach; that another server answers is noticed here, though it is the host's matter and no result."""
        try:
            self._attach()
        except HostError as error:
            assert REFUSED not in str(error), str(error)
            raise

    def measure(self) -> Mapping[str, float]:
        """Return what the throughput suite records of a single stream."""
        evidence = Recorder()
        self._suite(SINGLE, evidence, self.bank())
        return {name: value for name, value, _ in evidence.measurements}

    def take_baseline(self) -> None:
        """Five runs against which every time could be judged, or the last five of many; one more at each asking."""
        for _ in range(BASELINE_TRIES):
            self.baseline = [*self.baseline[1 - BASELINE_RUNS :], self.measure()]
            if all(found.sensitive for found in self._compared(self.baseline[-1])):
                return

    def _not_slower(self, evidence: Recorder) -> None:
        """Against the runs without a fault that came first, as a baseline's launches come before a launch."""
        found = [*self._compared(self.measure())]
        for one in found:
            evidence.finding(one)
        bad = [one.explain() for one in found if not one.ok]
        assert not bad, "\n".join(bad)

    def _not_slower_than_release(self, evidence: Recorder) -> None:
        """Against one run without a fault, as if an earlier release had been launched once."""
        before, now, of = self.baseline[-1], self.measure(), "an earlier release"
        found = [
            not_slower_than_release(name, [now[name]], [before[name]], release=of, more_is_better=more)
            for name, more in WATCHED.items()
        ]
        for one in found:
            evidence.finding(one)
        assert all(one.ok for one in found), "\n".join(one.explain() for one in found if not one.ok)

    def _compared(self, now: Mapping[str, float]) -> Iterator[Finding]:
        for name in TIMES:
            before = [m[name] for m in self.baseline]
            yield not_slower(name, [now[name]], before, more_is_better=False)


def _suite_of(name: str) -> str:
    return real_tests()[name].__module__.rpartition(".test_")[2]


def _outcome(ask: Callable[[Recorder], None]) -> Outcome:
    evidence = Recorder()
    try:
        ask(evidence)
    except (Exception, pytest.skip.Exception, pytest.fail.Exception) as error:
        return Outcome(error, evidence)
    return Outcome(None, evidence)


def planned() -> Plan:
    """Return the cell with both features, by the recipes that the matrix uses."""
    matrix = load_matrix()
    cell = next(c for c in expand_matrix(matrix).runnable if c.id == CELL)
    return make_plan(matrix, replace(cell, features=FEATURES))


@contextmanager
def launched(logs: Path) -> Iterator[tuple[Plan, Running]]:
    """Yield the cell's engine, by its own plan."""
    chosen = planned()
    with ProcessLauncher(logs=logs).start(chosen) as engine:
        yield chosen, engine


@contextmanager
def proxied(asked: Plan, engine: Running) -> Iterator[tuple[FaultProxy, Real]]:
    with FaultProxy(engine.base_url, stall_s=STALL_S) as proxy:
        yield proxy, Real(asked, engine, proxy.base_url)
