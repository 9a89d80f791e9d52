"""Facts over snapshots: what a predicate says, what nobody can tell, and the boundaries that the wheels give."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from matrix.errors import ConfigError
from matrix.facts.__main__ import main
from matrix.facts.evaluate import evaluate_fact, judge_fact, releases_of
from matrix.facts.model import Fact, load_facts, probe_key
from matrix.facts.predicates import HeldWheels, ask_predicate
from matrix.fat_binaries import Library
from matrix.preflight.kernels import KernelWheel
from matrix.preflight.kernels import format_wheel as kernel_text
from matrix.preflight.snapshot import Flag, Snapshot, save_snapshot, snapshot_for

FACTS = load_facts()
GLM = "GlmMoeDsaForCausalLM"
PROBE = {"in": "toy/x.py", "matches": "class A"}
TOY = Snapshot(
    release="toy_1",
    engine="toy",
    version="1",
    source="toy-1.whl",
    requires=("flashinfer-python==0.6.14", "torch>=2"),
    flags=(Flag(options=("--kv",), dest="kv", choices=("fp8", "bf16")), Flag(options=("--open",), dest="open")),
    env=frozenset({"TOY_A"}),
    architectures=frozenset({GLM, "Other"}),
    registered={GLM: "toy.models.dsa"},
    config_keys={"*": frozenset({"rope_theta"}), GLM: frozenset({"index_topk_pattern"})},
    chosen={f"{GLM} sm120 auto": "sparse, sparse (fp8_e4m3)", f"{GLM} sm90 auto": "undecided: use_x"},
    probes={probe_key(PROBE): "toy/x.py:7", "toy/y.py sha256": "ab12"},
)


@pytest.fixture
def held(tmp_path: Path) -> HeldWheels:
    """Return a folder with the kernels of one pinned library."""
    folder = tmp_path / "kernels"
    folder.mkdir()
    wheel = KernelWheel(
        wheel="flashinfer_python-0.6.14.whl",
        sha256="0" * 64,
        libraries={"flashinfer/x.so": Library(sass=("sm_90a",))},
        sources={"sm120": ("sparse_mla_sm120_prefill",)},
    )
    (folder / "flashinfer-python_0_6_14.json").write_text(kernel_text(wheel), encoding="utf-8")
    (folder / "flashinfer_python_0_6_14.json").write_text(kernel_text(wheel), encoding="utf-8")
    save_snapshot(TOY, tmp_path)
    return HeldWheels(snapshots=tmp_path, kernels=folder)


@pytest.mark.parametrize(
    ("kind", "keys", "holds"),
    [
        ("registers", {"architecture": GLM}, True),
        ("registers", {"architecture": "Gone"}, False),
        ("registers", {"architecture": GLM, "module": "toy.models.*"}, True),
        ("registers", {"architecture": GLM, "module": "toy.other"}, False),
        ("registers", {"architecture": "Other", "module": "toy.other"}, None),
        ("chooses", {"architecture": GLM, "sm": 120, "kv": "auto", "backend": "sparse"}, True),
        ("chooses", {"architecture": GLM, "sm": 120, "kv": "auto", "backend": ["trtllm"]}, False),
        ("chooses", {"architecture": GLM, "sm": 90, "kv": "auto", "backend": "sparse"}, None),
        ("chooses", {"architecture": GLM, "sm": 70, "kv": "auto", "backend": "sparse"}, None),
        ("chooses", {"architecture": "Gone", "sm": 90, "kv": "auto", "backend": "sparse"}, False),
        ("reads_key", {"architecture": GLM, "key": "index_topk_pattern"}, True),
        ("reads_key", {"architecture": GLM, "key": "rope_theta"}, True),
        ("reads_key", {"architecture": GLM, "key": "indexer_types"}, False),
        ("reads_key", {"architecture": "Other", "key": "indexer_types"}, None),
        ("reads_env", {"name": "TOY_A"}, True),
        ("reads_env", {"name": "TOY_B"}, False),
        ("has_flag", {"option": "--kv"}, True),
        ("has_flag", {"option": "--kv", "choice": "fp8"}, True),
        ("has_flag", {"option": "--kv", "choice": "nvfp4"}, False),
        ("has_flag", {"option": "--open", "choice": "x"}, None),
        ("has_flag", {"option": "--no"}, False),
        ("pins", {"library": "flashinfer-python", "versions": ">=0.6.14"}, True),
        ("pins", {"library": "flashinfer-python", "versions": "<0.6.14"}, False),
        ("pins", {"library": "torch", "versions": ">=2.5"}, None),
        ("pins", {"library": "gone", "versions": ">=1"}, False),
        ("kernel_source", {"of": "flashinfer-python", "sm": 120, "named": "sparse_mla_sm120*"}, True),
        ("kernel_source", {"of": "flashinfer-python", "sm": 120, "named": "fmha*"}, False),
        ("kernel_source", {"of": "torch", "sm": 120, "named": "*"}, None),
        ("kernel_source", {"of": "gone", "sm": 120, "named": "*"}, False),
        ("compiled", {"library": "flashinfer/*", "sm": 90}, True),
        ("compiled", {"library": "flashinfer/*", "sm": 120}, False),
        ("text", PROBE, True),
        ("text", {"in": "toy/x.py", "matches": "class B"}, None),
        ("file", {"path": "toy/y.py", "sha256": "ab12"}, True),
        ("file", {"path": "toy/y.py", "sha256": "cd34"}, False),
        ("file", {"path": "toy/z.py", "sha256": "cd34"}, None),
    ],
)
def test_a_predicate_holds_or_not_or_nobody_can_tell(
    kind: str, keys: dict[str, object], holds: bool | None, held: HeldWheels
) -> None:
    found = ask_predicate(kind, keys, TOY, held)
    assert found.holds is holds
    assert found.why


@pytest.mark.parametrize(
    ("part", "kind", "keys"),
    [
        ("env", "reads_env", {"name": "TOY_B"}),
        ("flags", "has_flag", {"option": "--no"}),
        ("architectures", "registers", {"architecture": "Gone"}),
        ("config_keys", "reads_key", {"architecture": GLM, "key": "indexer_types"}),
    ],
)
def test_what_could_not_be_read_is_unknown_and_never_absent(
    part: str, kind: str, keys: dict[str, object], held: HeldWheels
) -> None:
    hidden = replace(TOY, unread={part: "moved"})
    assert ask_predicate(kind, keys, TOY, held).holds is False
    assert ask_predicate(kind, keys, hidden, held).holds is None


def fact(**keys: object) -> Fact:
    return Fact(id="x", says="x", engine="toy", source="x", **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keys", "holds"),
    [
        ({"all": ({"reads_env": {"name": "TOY_A"}}, {"reads_env": {"name": "TOY_B"}})}, False),
        ({"all": ({"reads_env": {"name": "TOY_A"}}, {"text": {"in": "a", "matches": "b"}})}, None),
        ({"all": ({"reads_env": {"name": "TOY_B"}}, {"text": {"in": "a", "matches": "b"}})}, False),
        ({"any": ({"reads_env": {"name": "TOY_A"}}, {"text": {"in": "a", "matches": "b"}})}, True),
        ({"any": ({"reads_env": {"name": "TOY_B"}}, {"text": {"in": "a", "matches": "b"}})}, None),
        ({"all": ({"not": {"reads_env": {"name": "TOY_B"}}},)}, True),
        ({"all": ({"not": {"text": {"in": "a", "matches": "b"}}},)}, None),
    ],
)
def test_all_any_and_not_over_three_answers(keys: dict[str, object], holds: bool | None, held: HeldWheels) -> None:
    assert judge_fact(fact(**keys), TOY, {}, held).holds is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("facts: [{id: a, says: x, engine: vllm, source: s, all: [{choses: {}}]}]", "did you mean 'chooses'"),
        ("facts: [{id: a, says: x, engine: vllm, source: s, all: [{reads_env: {nam: X}}]}]", "has no 'nam'"),
        ("facts: [{id: a, says: x, engine: vllm, source: s, all: [{reads_env: {}}]}]", "reads_env wants 'name'"),
        ("facts: [{id: a, says: x, engine: vllm, source: s, all: [{fact: {id: b}}]}]", "no fact 'b'"),
        ("facts: [{id: a, says: x, engine: vllm}]", "missing key 'source'"),
        ("fact: []", "expected one key 'facts'"),
        ("facts: [{id: a, says: x, engine: vllm, source: s, all: [{}]}]", "expected one predicate"),
        ("facts: [{id: a, says: x, engine: vllm, source: s, all: [{fact: 3}]}]", "expected keys of fact"),
        ("facts: [{id: a, says: x, engine: vllm, source: s, all: [{not: {not: 3}}]}]", "no predicate 'not'"),
        (
            "facts: [{id: a, says: x, engine: v, source: s, all: [{text: {in: x, matches: '('}}]}]",
            "no regular expression",
        ),
        ("facts: [{id: a, says: x, engine: v, source: s, all: [{fact: {id: a}}]}]", "a: it names itself"),
        (
            "facts: [{id: a, says: x, engine: v, source: s}, {id: a, says: x, engine: v, source: s}]",
            "a second fact 'a'",
        ),
        ("facts: [{id: a, says: x, engine: vllm, source: s, all: [7]}]", "facts.0.all.0"),
    ],
)
def test_a_fact_that_asks_for_nothing_says_what_it_could_ask(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "facts.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_facts(tmp_path / "facts.yaml")


def test_the_command_tells_ranges_or_each_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("sglang_sm120_sparse_mla"))
    assert "0.5.17 to 0.5.23" in line and "expected, not run" in line
    assert main(["sglang_sm120_sparse_mla", "--release", "sglang_0_5_16"]) == 0
    assert "does not" in capsys.readouterr().out
    assert main(["sglang_sm120_sparse_mla", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["sglang_sm120_sparse_mla"]
    assert {row["release"] for row in rows} >= {"sglang_0_5_9", "sglang_0_5_23"}
    # a release by its id, by a requirement, by a bare version; one that is none is no silent "nothing holds"
    for release in ("sglang==0.5.16", "0.5.16"):
        assert main(["sglang_sm120_sparse_mla", "--release", release]) == 0
        assert "sglang_0_5_16" in capsys.readouterr().out
    assert main(["sglang_sm120_sparse_mla", "--release", "sglang==0.5.99"]) == 2
    assert "is no release" in capsys.readouterr().err
    assert main(["sglang_sm120_sparse_ml"]) == 2
    assert "did you mean 'sglang_sm120_sparse_mla'" in capsys.readouterr().err


EXPECTED = {
    "sglang_sm120_sparse_mla": ("0.5.17", "0.5.18", "0.5.19", "0.5.20", "0.5.21", "0.5.22", "0.5.23"),
    "sglang_sm120_bf16_kv": (),
    "sglang_nsa_exclusion_fits": ("0.5.10", "0.5.10.post1"),
    "sglang_pattern_over_indexer_weights": (),
    "sglang_pattern_override_comes_too_late": ("0.5.20", "0.5.21", "0.5.22", "0.5.23"),
    "vllm_sm120_short_prompts_end": ("0.26.0", "0.27.0", "0.27.1", "0.28.0", "0.29.0"),
    "vllm_pattern_over_indexer_weights": ("0.24.0", "0.29.0", "0.30.0", "0.31.0", "0.32.0", "0.33.0"),
    "vllm_reads_indexer_types": (),
    "vllm_glm47_loses_a_streamed_call_without_arguments": (
        *("0.20.0", "0.20.1", "0.20.2", "0.21.0", "0.22.0", "0.22.1", "0.23.0"),
    ),
}


@pytest.mark.parametrize(("name", "versions"), EXPECTED.items(), ids=EXPECTED)
def test_boundaries_are_those_that_the_wheels_give(name: str, versions: tuple[str, ...]) -> None:
    verdicts = evaluate_fact(FACTS[name], FACTS)
    assert tuple(str(v.version) for v in verdicts if v.answer.holds) == versions


def test_every_fact_can_be_told_of_every_release_but_a_few() -> None:
    """A fact that nobody can tell decides nothing: each unknown one is named here, with its reason."""
    unknown = {
        (f.id, str(v.version)): v.answer.why
        for f in FACTS.values()
        for v in evaluate_fact(f, FACTS)
        if v.answer.holds is None
    }
    assert not {key: why for key, why in unknown.items() if "not asked yet" in why}
    read = {key: why for key, why in unknown.items() if "is a stub without code" not in why}
    assert not {key: why for key, why in read.items() if "could not be read" in why}


def test_releases_come_oldest_first() -> None:
    versions = [s.version for s in releases_of("sglang")]
    order = ["0.5.9", "0.5.10rc0", "0.5.10", "0.5.10.post1", "0.5.23"]
    assert [v for v in versions if v in order] == order


def test_parsers_that_were_not_run_answer_nothing() -> None:
    keys = {"pair": "glm47+glm45", "case": "no_arguments", "fault": "lost_call"}
    run = Snapshot(release="vllm_0_23_0", engine="vllm", version="0.23.0", source="w")
    assert ask_predicate("parses", keys, run, HeldWheels()).holds is True
    assert ask_predicate("parses", {**keys, "fault": "exception"}, run, HeldWheels()).holds is False
    other = replace(run, release="vllm_9")
    assert ask_predicate("parses", keys, other, HeldWheels()).why == (
        "its parsers glm47+glm45 were not run over no_arguments"
    )


def test_a_part_of_a_name_lists_the_facts_that_have_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sglang_sm120"]) == 2
    assert "with this in their names: sglang_sm120_bf16_kv, " in capsys.readouterr().err


def test_a_release_that_no_fact_is_about_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--release", "llamacpp_2026_10_11549"]) == 0
    assert "no fact is asked of it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fact", "release", "holds"),
    [
        ("trtllm_parses_glm47", "trtllm_1_3_0rc3", False),
        ("trtllm_parses_glm47", "trtllm_1_3_0rc26", True),
        ("trtllm_parses_glm47", "trtllm_1_3_0rc29", None),
        ("trtllm_parses_glm45", "trtllm_1_3_0rc29", True),
        ("transformers_serve_parses_glm", "transformers_5_24_0", False),
        ("transformers_serve_splits_thinking", "transformers_5_12_1", True),
        ("transformers_serve_splits_thinking", "transformers_5_24_0", False),
    ],
)
def test_whether_a_release_has_a_parser_for_glm_is_told_of_each(fact: str, release: str, holds: bool | None) -> None:
    snapshot = snapshot_for(release)
    assert snapshot is not None
    answer = judge_fact(load_facts()[fact], snapshot, load_facts())
    assert (answer.holds, bool(answer.why)) == (holds, True)
