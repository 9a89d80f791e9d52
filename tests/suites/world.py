"""Runs suite tests as plain functions against a stub engine: same code as on a GPU, no pytest in between."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.client.exchange import PLAIN, Access
from fixtures.client.tape import LIVE, RecordingAsker, Replaying, Tape
from matrix.hardware import Gpu, Rig
from matrix.model import Cell, Checkpoint, Quantisation, Release
from matrix.yaml.load import load_matrix
from reports.compare.baselines import Baseline
from reports.evidence import kept
from reports.evidence.finding import Finding
from reports.evidence.outbox import Evidence, Outbox
from reports.evidence.outcome import OURS, classify_fault
from suites import (
    test_boot,
    test_boots,
    test_chunked_prefill,
    test_clients,
    test_coherence,
    test_fields,
    test_indexcache,
    test_instructions,
    test_mtp,
    test_needle,
    test_reuse,
    test_sampling,
    test_selection,
    test_soak,
    test_structured,
    test_surfaces,
    test_thinking,
    test_throughput,
    test_together,
    test_tool_use,
)
from suites.asking.depth import QUICK
from suites.measure.baseline_with_relaunch import MeasuredInputs
from tests.faults.stub.answers import tokens
from tests.faults.stub.engine import MODEL, StubEngine

INDEX_TOPK = 256
ENGINES = load_matrix().engines
SETTINGS = {"context": 4096, "page_tokens": 64, "chunk_tokens": 128, "index_topk": INDEX_TOPK}
MODULES: tuple[ModuleType, ...] = (
    test_boot,
    test_boots,
    test_coherence,
    test_needle,
    test_reuse,
    test_soak,
    test_together,
    test_tool_use,
    test_thinking,
    test_clients,
    test_structured,
    test_fields,
    test_sampling,
    test_instructions,
    test_surfaces,
    test_throughput,
    test_indexcache,
    test_mtp,
    test_chunked_prefill,
    test_selection,
)
DEPTH = replace(
    QUICK,
    facts=8,
    arithmetic=4,
    instructions=3,
    chinese=3,
    recall_turns=(11,),
    long_texts=3,
    calls=8,
    parallel_calls=2,
    streamed=6,
    thinking=2,
    client_calls=21,
    many_tools=1,
    agent_rounds=10,
    structured=2,
    fields=2,
    left_s=0.4,
    constraints=16,
    exact=3,
    no_tool_needed=2,
    trigger_calls=2,
    tool_dialogues=1,
    within_depths=(0.2, 0.7),
    recall=3,
    needle_multiples=(2, 3),
    missing_tool=3,
    tool_results=3,
    needle_tiers=("multi_key", "multi_value", "no_lexical_overlap"),
    single_stream_tokens=32,
    load_sweep=(1, 3),
    load_output_tokens=16,
    needle_page_edges=True,
    markers=4,
    equal_asks=2,
    neighbours=4,
    counted=2,
    choices=3,
    sweep_lengths=(600, 900),
    loaded_items=8,
    loaded_streams=4,
    loaded_output_tokens=1600,  # so long that a busy host, too, asks every item twice meanwhile
    open_shares=(0.5,),
    open_requests=12,
    open_streams=2,
    open_prompt_tokens=64,
    open_output_tokens=16,
    decode_lengths=(300, 600),
    prefill_prompts=2,
    company=5,
    company_lengths=(),
    talks=1,
    talk_turns=3,
    evicting_prompts=1,
)
SILENCE_S = 3.0  # half a second called a busy host a hanging engine
BOOTS = 5
TOKEN_BUDGET = 1_000_000


def suite_tests() -> dict[str, Callable[..., None]]:
    return {
        name: value
        for module in MODULES
        for name, value in vars(module).items()
        if name.startswith("test_") and inspect.isfunction(value)
    }


def cell(dialect: Any = "llamacpp", **rig: Any) -> Cell:
    gpu = Gpu(
        id="cpu",
        name="CPU",
        sm=rig.get("sm", 0),
        vram_bytes=0,
        memory_bandwidth_bytes_per_s=rig.get("bandwidth", 0),
        interconnect="none",
        rigs={"cpu": 0},
        source="test",
    )
    return Cell(
        rig=Rig(id="cpu", gpu=gpu, gpus=rig.get("gpus", 0)),
        engine=replace(ENGINES[dialect], id="stub", title="Stub", command=(), source="test"),
        release=Release(id="stub_1", engine="stub", version="1", source="test"),
        checkpoint=Checkpoint(
            id="canary",
            title="Canary",
            family="canary",
            format="bf16",
            architecture="GlmMoeDsaForCausalLM",
            size_bytes=rig.get("size_bytes", 58_000_000),
            experts=16,
            experts_per_token=4,
            layers=4,
            dense_layers=1,
            heads=8,
            hidden_size=256,
            context=4096,
            index_topk=INDEX_TOPK,
            mtp_layer=True,
            quantisation=Quantisation(method="none"),
            parsers={"stub": {"tool_call": "glm47", "reasoning": "glm45"}},
            reasoning_efforts=("low", "high"),
            source="test",
        ),
        features=frozenset(),
    )


@dataclass
class Recorder:
    """Evidence that stays in memory."""

    findings: list[Finding] = field(default_factory=list)
    measurements: list[tuple[str, float, str]] = field(default_factory=list)
    conditions: list[Mapping[str, Any]] = field(default_factory=list)  # of the measurements
    proofs: list[tuple[str, str, str]] = field(default_factory=list)

    def finding(self, finding: Finding) -> Finding:
        Evidence(Outbox("run"), {"cell": "c"}).finding(finding)  # what evidence refuses is a bug of the check
        self.findings.append(finding)
        return finding

    def measurement(self, name: str, value: float, unit: str, conditions: Mapping[str, Any] | None = None) -> None:
        self.measurements.append((name, value, unit))
        self.conditions.append(conditions or {})

    def proof(
        self,
        feature: str,
        outcome: str,
        rung: str,
        detail: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self.proofs.append((feature, outcome, detail))


def counted_by_stub(item: Item) -> int:
    """Return the stub's own count: what it says when it is healthy is exact."""
    if item.tokens_prompt_about is not None and ".pad" not in item.id:
        return item.tokens_prompt_about
    return len(tokens("".join(str(m.get("content")) for m in item.messages)))


@dataclass(frozen=True)
class FakePlan:
    settings: Mapping[str, Any] = field(default_factory=lambda: SETTINGS)


@dataclass(frozen=True)
class FakeRunning:
    base_url: str
    api_key: str | None
    model: str = MODEL
    log_path: Path | None = None
    gpus: tuple[str, ...] = ()
    access: Access = PLAIN
    replies_as: str = ""
    tape: Tape = LIVE


@dataclass
class _Reboot:
    """Boots the stub afresh: it forgets what it cached, and its defect may be in some boots only."""

    stub: StubEngine
    running: FakeRunning
    tape: Tape = LIVE

    def __call__(self, why: str) -> FakeRunning:
        self.stub.boot_again()
        return replace(self.running, tape=self.tape)


@dataclass
class Outcome:
    """What became of one suite test: `error` is None when it passed. `again` judges what was kept, without the stub.

    `known` is the id of the known failure that describes the error, `contradicts` of one that expected an error.
    """

    error: BaseException | None
    evidence: Recorder
    again: Callable[[], Outcome] | None = None
    known: str = ""
    contradicts: str = ""

    @property
    def red(self) -> bool:
        return bool(self.contradicts) or self._failed

    @property
    def noticed(self) -> bool:
        """Red in the engine's name: a FAIL, CRASH or HANG, and no bug of ours or trouble of the host."""
        return self._failed and classify_fault(self.error, call=True) not in OURS

    @property
    def _failed(self) -> bool:
        return self.error is not None and not self.known and not isinstance(self.error, pytest.skip.Exception)

    @property
    def replays(self) -> bool:
        """Whether what was kept leads to the same again; where nothing is kept, a launch is what was judged."""
        return self.again is None or self.again().told == self.told

    @property
    def told(self) -> list[str]:
        """Everything that evidence would hold, as text: NaN is no equal of itself."""
        own = self.evidence
        error = [type(self.error).__name__, str(self.error)]
        return [*error, *map(repr, (*own.findings, *own.measurements, *own.conditions, *own.proofs))]


def unwatched(given: Mapping[str, Any]) -> MeasuredInputs:
    """Return what the throughput tests measure with where no earlier launch is known."""
    what: Any = {name: given[name] for name in ("cell", "bank", "evidence", "depth")}
    return MeasuredInputs(**what, baseline=Baseline(), relaunch=lambda _: None)


def run(test: str, stub: StubEngine, bank: Bank, *, silence_s: float = SILENCE_S, **instead: Any) -> Outcome:
    """One suite test against the stub; its client is impatient, because some defects use up all patience.

    `instead` replaces what a test is given by name (cell, plan, depth, ...).
    """
    source = RecordingAsker()
    running = FakeRunning(stub.base_url, stub.api_key, log_path=stub.log_path)
    asked = partial(_ask, test, running, silence_s)
    fresh = {"cell": cell(stub.dialect.name), "bank": stub.learn(bank), "reboot": _Reboot(stub, running), **instead}
    found = asked(Tape(source), fresh)

    def again() -> Outcome:
        replay = replay_kept(source)
        kept_given = {"cell": cell(stub.dialect.name), "bank": bank, "reboot": _Reboot(stub, running), **instead}
        outcome = asked(Tape(replay), kept_given)
        assert (replay.missing, replay.unused) == ([], [])
        return outcome

    return replace(found, again=again)


def replay_kept(source: RecordingAsker) -> Replaying:
    """Return what was recorded, by way of a file."""
    with TemporaryDirectory() as folder:
        made = kept.KeptTape(run="r", nodeid="n", exchanges=source.exchanges())
        stored = kept.write_tape(Path(folder), made)
        return Replaying(kept.read_tape(Path(folder), stored.sha256).exchanges)


def _ask(test: str, engine: FakeRunning, silence_s: float, tape: Tape, given: dict[str, Any]) -> Outcome:
    function, evidence = suite_tests()[test], Recorder()
    with Client(engine.base_url, MODEL, engine.api_key, silence_s=silence_s, tape=tape) as client:
        given = {
            "plan": FakePlan(),
            "engine": replace(engine, tape=tape),
            "client": client,
            "evidence": evidence,
            "depth": DEPTH,
            "rendered": counted_by_stub,
            "boot_count": BOOTS,
            "soak_s": 0.0,  # as many rounds as a trend needs
            "token_budget": TOKEN_BUDGET,
            **given,
        }
        given = {"client_bank": given["bank"], **given, "judged": unwatched(given)}
        given["reboot"].tape = tape
        wanted = inspect.signature(function).parameters
        try:
            function(**{name: given[name] for name in wanted})
        except (Exception, pytest.skip.Exception, pytest.fail.Exception) as error:
            return Outcome(error, evidence)
    return Outcome(None, evidence)
