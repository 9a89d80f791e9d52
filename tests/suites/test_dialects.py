"""Every suite on GPU plans: index_topk 2048, a context of 32k, chunks of 4096, and each engine's own way to speak.

The stub speaks the dialect, counts and logs as that engine does, and is asked at the depth of a first run on a GPU.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fixtures.banks import bank_for
from fixtures.client.client import Client
from matrix.errors import HostError
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.load import load_matrix
from suites.asking.depth import QUICK
from tests.faults.stub.dialect import DIALECTS
from tests.faults.stub.engine import MODEL, Pace, StubEngine
from tests.suites.world import Outcome, run, suite_tests

RELEASES = {"vllm": "vllm_0_26_0", "sglang": "sglang_0_5_17", "trtllm": "trtllm_1_3_0rc26"}
MARKED = {
    n: [m.name for m in (*getattr(f, "pytestmark", ()), *getattr(sys.modules[f.__module__], "pytestmark", ()))]
    for n, f in suite_tests().items()
}
READ_OUT = "test_selects_what_the_reference_selects"  # owed by cells with that feature alone
ASKED = [n for n, marks in MARKED.items() if "from_depth" not in marks and n != READ_OUT]
CELLS = {c.id: c for c in expand_matrix(load_matrix()).runnable if c.id.startswith("sm90x1.")}
PACE = Pace(prefill_s=1e-6, itl_s=0.0005)  # at once would be above the roofline of any GPU
PROVEN = {  # by what the engine counts or logs; TensorRT-LLM shows neither
    ("vllm", "mtp"): "proven",
    ("vllm", "chunked_prefill"): "proven",
    ("sglang", "mtp"): "proven",
    ("sglang", "chunked_prefill"): "proven",
    ("trtllm", "mtp"): "unproven",
    ("trtllm", "chunked_prefill"): "unproven",
}


FEATURE = {"test_drafts_are_accepted": "mtp", "test_prefills_in_chunks": "chunked_prefill"}  # of a test; else none


def planned(dialect: str, test: str = "") -> Plan:
    """Return the canary's cell that the test is for. SGLang drafts on the wide one only."""
    feature = FEATURE.get(test, "baseline")
    canary = "canary_wide" if (dialect, feature) == ("sglang", "mtp") else "canary_bf16"
    return make_plan(load_matrix(), CELLS[f"sm90x1.{RELEASES[dialect]}.{canary}.{feature}"])


def asked(test: str, made: Plan, folder: Path, **stub: str) -> Outcome:
    """One suite test on a healthy stub that is set as the plan says."""
    settings = made.settings
    with StubEngine(
        dialect=made.cell.engine.dialect,
        index_topk=settings["index_topk"],
        context=settings["context"],
        chunk_tokens=settings.get("chunk_tokens", settings["context"]),
        log=folder / "engine.log",
        defect=stub.get("defect"),
        pace=PACE,
    ) as engine:
        bank = bank_for(made.cell.checkpoint)
        return run(test, engine, bank, silence_s=30.0, cell=made.cell, plan=made, depth=QUICK)


@pytest.mark.parametrize("dialect", RELEASES)
@pytest.mark.parametrize("test", ASKED)
def test_a_healthy_engine_stays_green_on_a_gpu_plan(test: str, dialect: str, tmp_path: Path) -> None:
    outcome = asked(test, planned(dialect, test), tmp_path)
    assert not outcome.red or isinstance(outcome.error, HostError), outcome.error  # a busy host measures no engine
    assert outcome.replays


@pytest.mark.parametrize("dialect", RELEASES)
def test_needles_lie_beyond_what_is_selected(dialect: str, tmp_path: Path) -> None:
    found = asked("test_finds_the_needle_beyond_index_topk", planned(dialect), tmp_path).evidence.findings
    assert [round(f.data["prompt_tokens"], -2) for f in found] == [4600, 4600]
    assert all(f.sensitive for f in found)


@pytest.mark.parametrize(("dialect", "feature"), PROVEN)
def test_features_are_judged_by_what_the_engine_shows(dialect: str, feature: str, tmp_path: Path) -> None:
    test = next(t for t, f in FEATURE.items() if f == feature)
    outcome = asked(test, planned(dialect, test), tmp_path)
    assert not outcome.red, outcome.error
    assert outcome.replays
    assert [(f, o) for f, o, _ in outcome.evidence.proofs] == [(feature, PROVEN[dialect, feature])]


@pytest.mark.parametrize(
    ("dialect", "defect", "test"),
    [
        ("vllm", "mtp_accepts_everything", "test_drafts_are_accepted"),
        ("vllm", "mtp_accepts_nothing", "test_drafts_are_accepted"),
        ("vllm", "ignores_chunk_size", "test_prefills_in_chunks"),
        ("sglang", "mtp_accepts_nothing", "test_drafts_are_accepted"),
        ("sglang", "ignores_chunk_size", "test_prefills_in_chunks"),
        ("sglang", "forgets_needle_beyond_index_topk", "test_finds_the_needle_beyond_index_topk"),
        ("trtllm", "stream_loses_arguments", "test_stream_equals_non_stream"),
        ("sglang", "refuses_without_reason", "test_refuses_a_prompt_over_the_context"),
    ],
)
def test_a_defect_is_noticed_in_another_dialect(dialect: str, defect: str, test: str, tmp_path: Path) -> None:
    assert asked(test, planned(dialect, test), tmp_path, defect=defect).red


@pytest.mark.parametrize("dialect", DIALECTS)
def test_reasoning_is_understood_under_each_engines_name_for_it(dialect: str) -> None:
    with StubEngine(dialect=dialect, defect="reasoning_only") as stub:
        client = Client(stub.base_url, MODEL, stub.api_key)
        replies = [client.chat([{"role": "user", "content": "x"}], stream=stream) for stream in (False, True)]
    assert all(r.reasoning and not r.content for r in replies)
