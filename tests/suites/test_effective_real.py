"""Real launches of llama.cpp that ask for a feature and do not get it: each must come out refuted, and says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.banks.canary_bank import CanaryBank
from fixtures.canary.checkpoint import CheckpointDirectory
from fixtures.client.client import Client
from fixtures.launch.process.engine import ProcessLauncher
from fixtures.launch.running import Running
from matrix.checkout import CHECKOUT
from matrix.judging.logprobs import prove_by_recording
from matrix.judging.observation import Rung
from matrix.judging.plan_without import without_setting
from matrix.model import Cell
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.load import load_matrix
from suites import test_effective, test_selection
from suites.asking.depth import QUICK
from tests.fixtures.llamacpp.serving import CANARY, needs_canary, serve
from tests.suites.world import Recorder

pytestmark = needs_canary

ORACLE = CHECKOUT / "tests" / "fixtures" / "canary" / "reference_logprobs.json"
ORACLE_TOLERANCE = 0.02  # F32 weights differ from transformers by 0.0035 at most (tests/fixtures/llamacpp)


def cell(name: str) -> Cell:
    wanted = f"cpu.llamacpp_2026_10_11549.canary_bf16.{name}"
    return next(c for c in expand_matrix(load_matrix()).runnable if c.id == wanted)


@contextmanager
def launched(name: str, tmp_path: Path, *left_out: tuple[str, str]) -> Iterator[tuple[Plan, Running, Client]]:
    """Yield the cell's own plan beside an engine that was launched without some of its settings."""
    asked = make_plan(load_matrix(), cell(name))
    real = asked
    for section, key in left_out:
        real = without_setting(real, section, key)
    with (
        ProcessLauncher(logs=tmp_path).start(real) as engine,
        Client(engine.base_url, engine.model, api_key=engine.api_key) as client,
    ):
        yield asked, engine, client


def in_effect(asked: Plan, engine: Running, client: Client) -> Recorder:
    """Run the suite's test, fail as it does, and return what it recorded."""
    evidence = Recorder()
    test_effective.test_requested_features_are_in_effect(
        cell=asked.cell, plan=asked, engine=engine, client=client, bank=CanaryBank(), evidence=evidence, depth=QUICK
    )
    return evidence


def outcomes(evidence: Recorder) -> dict[str, str]:
    return {feature: outcome for feature, outcome, _ in evidence.proofs}


def test_indexcache_that_was_asked_for_is_proven(tmp_path: Path) -> None:
    with launched("indexcache", tmp_path) as run:
        evidence = in_effect(*run)
    assert outcomes(evidence) == {"kv_layout": "proven", "dsa": "proven", "indexcache": "proven"}


def test_a_launch_without_indexcache_is_refuted(tmp_path: Path) -> None:
    """The flag is in the plan, every answer is right, and the feature is not there."""
    with (
        launched("indexcache", tmp_path, ("config", "index_topk_pattern")) as run,
        pytest.raises(AssertionError, match="indexcache is refuted") as caught,
    ):
        in_effect(*run)
    said = str(caught.value)
    assert "4 of 4 layers keep indexer keys, the pattern leaves 2" in said, "seen in the cache"
    assert "FFFF is" in said and "wanted FFSS" in said, "and in the numbers"


def test_dense_attention_is_refuted_by_its_numbers(tmp_path: Path) -> None:
    """With the config's index_topk of 2048 the prompt is attended densely, and the cache looks the same."""
    with (
        launched("baseline", tmp_path, ("config", "index_topk")) as run,
        pytest.raises(AssertionError, match="dsa is refuted by ablation"),
    ):
        in_effect(*run)


def test_an_ignored_chunk_size_is_refuted(tmp_path: Path) -> None:
    left_out = (("args", "--batch-size"), ("args", "--ubatch-size"))
    with launched("chunked_prefill", tmp_path, *left_out) as (asked, engine, client):
        with pytest.raises(AssertionError, match="chunked_prefill is refuted by counters and sizes: 1 prefill batch"):
            in_effect(asked, engine, client)
        with pytest.raises(AssertionError, match=r"effective\.chunk_tokens: NOT OK"):
            test_effective.test_requested_equals_effective(
                cell=asked.cell, plan=asked, engine=engine, client=client, evidence=Recorder()
            )


def agree(asked: Plan, launched: Plan, tmp_path: Path) -> Recorder:
    """Run the reference's test about one plan on an engine that was launched by another."""
    evidence = Recorder()
    with (
        ProcessLauncher(logs=tmp_path).start(launched) as engine,
        Client(engine.base_url, engine.model, api_key=engine.api_key) as client,
    ):
        test_effective.test_numbers_agree_with_the_reference(
            cell=asked.cell, plan=asked, client=client, bank=CanaryBank(), evidence=evidence, depth=QUICK
        )
    return evidence


def configured(asked: Plan, key: str, value: int) -> Plan:
    """Return the plan with another value in the checkpoint's config."""
    setting = replace(asked.sections["config"][0], path=(key,), value=value)
    return replace(asked, sections={**asked.sections, "config": (*asked.sections["config"], setting)})


def test_right_numbers_agree_with_the_reference(tmp_path: Path) -> None:
    asked = make_plan(load_matrix(), cell("baseline"))
    found = agree(asked, configured(asked, "num_experts_per_tok", 4), tmp_path).findings
    assert [f.data["positions"] for f in found] == [15, 15, 8]
    assert all(2 * f.data["mean_nats"] < f.data["tolerance"] for f in found), "room for another machine's rounding"


def test_an_expert_less_for_each_token_is_seen_in_the_numbers_alone(tmp_path: Path) -> None:
    """Three of four: every answer stays right, and so do the sizes. The nearest wrong way that the tolerance is for."""
    asked = make_plan(load_matrix(), cell("baseline"))
    with pytest.raises(AssertionError, match=r"reference\.kl: NOT OK"):
        agree(asked, configured(asked, "num_experts_per_tok", 3), tmp_path)


def test_weights_that_are_not_the_checkpoints_are_seen_in_the_numbers(tmp_path: Path) -> None:
    other = next(
        c for c in expand_matrix(load_matrix()).runnable if c.id == "cpu.llamacpp_2026_10_11549.canary_reap192.baseline"
    )
    with pytest.raises(AssertionError, match=r"reference\.kl: NOT OK"):
        agree(make_plan(load_matrix(), cell("baseline")), make_plan(load_matrix(), other), tmp_path)


def test_mtp_that_is_off_is_refuted(tmp_path: Path) -> None:
    with (
        launched("mtp", tmp_path, ("args", "--spec-type")) as run,
        pytest.raises(AssertionError, match="mtp is refuted by counters and sizes: no token was drafted"),
    ):
        in_effect(*run)


@pytest.mark.parametrize(
    ("way", "outcome"),
    [("long sparse", "proven"), ("long sparse, shared layers", "refuted"), ("long dense", "refuted")],
)
def test_the_oracle_tells_sparse_attention_from_its_rivals(way: str, outcome: str, tmp_path: Path) -> None:
    """transformers' float32 numbers beyond index_topk 64; each way is launched and asked to be the sparse one."""
    oracle = json.loads(ORACLE.read_text())
    assert oracle["weights_sha256"] == CheckpointDirectory(CANARY).weights_sha256(), (
        "record it again: see the docstring of tests/fixtures/canary/record_reference.py"
    )
    cases = {c["name"]: c for c in oracle["cases"]}
    prompt = cases[way]["ids"]
    with serve(tmp_path, "--type", "f32", "--ctx-size", "1024", merges={"config.json": cases[way]["config"]}) as served:
        reply = served.post("/completion", prompt=prompt, n_predict=1, temperature=0, n_probs=40)
    found = {str(t["id"]): t["logprob"] for t in reply["completion_probabilities"][0]["top_logprobs"]}
    proof = prove_by_recording(
        "dsa",
        [found],
        {n: [{str(i): v for i, v in c["top"]}] for n, c in cases.items() if n.startswith("long")},
        wanted="long sparse",
        tolerance=ORACLE_TOLERANCE,
        prompt_tokens=len(prompt),
        index_topk=64,
    )
    assert (proof.outcome, proof.rung) == (outcome, Rung.ORACLE), proof.detail


def ask_crowd(asked: Plan, launched: Plan, tmp_path: Path) -> Recorder:
    """Ask the crowd of one plan on an engine that was launched by another."""
    evidence = Recorder()
    with (
        ProcessLauncher(logs=tmp_path).start(launched) as engine,
        Client(engine.base_url, engine.model, api_key=engine.api_key) as client,
    ):
        test_selection.test_attends_to_the_selected_tokens_only(
            cell=asked.cell, plan=asked, client=client, bank=CanaryBank(), evidence=evidence
        )
    return evidence


def test_a_crowd_is_answered_as_sparse_attention_does(tmp_path: Path) -> None:
    asked = make_plan(load_matrix(), cell("baseline"))
    evidence = ask_crowd(asked, asked, tmp_path)
    (found,) = evidence.findings
    assert outcomes(evidence) == {"dsa": "proven"}
    assert 10 * found.data["nats"]["FFFF"] < found.data["tolerance"], "room for another machine's rounding"


@pytest.mark.parametrize(("index_topk", "nearest"), [(2048, "dense"), (128, "half")])
def test_another_index_topk_is_seen_in_the_crowd(index_topk: int, nearest: str, tmp_path: Path) -> None:
    """Of 889 tokens 2048 selects all."""
    asked = make_plan(load_matrix(), cell("baseline"))
    with pytest.raises(AssertionError, match=f"of all ways to attend {nearest} is nearest"):
        ask_crowd(asked, configured(asked, "index_topk", index_topk), tmp_path)
