"""What preflight says about a plan beyond the published ones: every kind of remark, and who it blames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from matrix.preflight.snapshot import Flag, Snapshot, snapshot_for
from matrix.preflight.verdict import preflight_launch


@dataclass(frozen=True)
class Serves:
    architecture: str


def flag(*options: str, **fields: Any) -> Flag:
    return Flag(options=options, dest=options[0].lstrip("-").replace("-", "_"), **fields)


SNAPSHOT = Snapshot(
    release="sglang_9",
    engine="sglang",
    version="9",
    source="test",
    flags=(
        flag("--model-path", required=True),
        flag("--page-size", type="int"),
        flag("--backend", choices=("a", "b")),
        flag("--old", deprecated="use --new"),
        flag("--gone", action="error", deprecated="use --new"),
        flag("--override", type="json", keys={"moe": ("x",), "free": None}),
        flag("--dtype", listed=("fp8",)),
        flag("--dynamic", choices_unknown=True),
    ),
    env=frozenset({"SGLANG_REAL"}),
    env_deprecated={"SGLANG_OLD": "use SGLANG_REAL"},
    architectures=frozenset({"GlmMoeDsaForCausalLM"}),
    requires=("transformers==5.3.0",),
)
MODEL = ["--model-path", "/m"]


def kinds(*words: str, env: dict[str, str] | None = None, snapshot: Snapshot = SNAPSHOT) -> list[tuple[str, str]]:
    return [(r.level, r.kind) for r in preflight_launch([*MODEL, *words], env or {}, snapshot).remarks]


@pytest.mark.parametrize(
    ("words", "level", "kind"),
    [
        (["--page-size", "big"], "error", "invalid_value"),
        (["--backend", "c"], "error", "invalid_choice"),
        (["--old", "1"], "warning", "deprecated"),
        (["--gone"], "error", "retired"),
        (["--override", '{"moe": "y"}'], "error", "invalid_choice"),
        (["--override", '{"what": 1}'], "error", "unknown_key"),
        (["--override", '{"moe": '], "error", "invalid_value"),
        (["--dtype", "fp4"], "note", "unlisted"),
        (["--dynamic", "x"], "note", "unread_choices"),
        (["--page-size", "64", "--page-size", "128"], "warning", "repeated"),
        (["--page", "64"], "warning", "abbreviation"),
        (["stray"], "error", "extra_argument"),
        (["--nothing"], "error", "unknown_flag"),
        (["--page-size"], "error", "missing_value"),
    ],
)
def test_each_fault_has_its_own_remark(words: list[str], level: str, kind: str) -> None:
    assert kinds(*words) == [(level, kind)]


def test_good_words_give_no_remark() -> None:
    assert kinds("--page-size=64", "--backend", "a", "--override", '{"moe": "x", "free": 3}', "--dtype", "fp8") == []


def test_a_required_flag_that_is_missing_rejects() -> None:
    assert preflight_launch([], {}, SNAPSHOT).verdict == "reject"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SGLANG_REAL", []),
        ("SGLANG_OLD", [("warning", "env_deprecated")]),
        ("SGLANG_FAKE", [("warning", "env_unread")]),
        ("VLLM_ANY", [("warning", "env_other_engine")]),
        ("NCCL_P2P_LEVEL", []),
        ("SAFETENSORS_FAST_GPU", [("warning", "env_misleading")]),
        ("FROBNICATE", [("note", "env_unowned")]),
    ],
)
def test_an_environment_variable_is_read_or_somebody_is_named(name: str, expected: list[tuple[str, str]]) -> None:
    assert kinds(env={name: "1"}) == expected


def test_an_unregistered_architecture_rejects() -> None:
    held = replace(SNAPSHOT, registered={"GlmMoeDsaForCausalLM": "models.glm"})
    report = preflight_launch(MODEL, {}, held, Serves("DeepseekV32ForCausalLM"))
    assert (report.verdict, report.kinds("error")) == ("reject", ("architecture",))
    assert "GlmMoeDsaForCausalLM" in str(report), "says what it has instead"


def test_no_snapshot_is_unknown_and_an_unread_release_never_better() -> None:
    assert preflight_launch([], {}, None, release="x").verdict == "unknown"
    partial = replace(SNAPSHOT, complete=False)
    assert preflight_launch(MODEL, {}, partial).verdict == "unknown"
    assert kinds("--nothing", snapshot=SNAPSHOT.as_fork("f", "image"))[-1] == ("unknown", "fork_only")


@pytest.mark.parametrize(
    ("pin", "fits"),
    [
        ("transformers==5.3.0", True),
        ("transformers<5,>=4.56.0", False),
        ("transformers>=5.5.3", True),
        ("transformers>5.10", True),
        ("transformers<5.21.0,>=5.16.1", True),
        ("transformers==5.1.0", False),
        ("transformers<5.2", False),
        ("transformers", True),
        ("other==1", True),
    ],
)
def test_a_pin_contradicts_when_no_version_from_5_2_on_can_satisfy_it(pin: str, fits: bool) -> None:
    report = preflight_launch(MODEL, {}, replace(SNAPSHOT, requires=(pin,)), Serves("GlmMoeDsaForCausalLM"))
    assert (report.verdict == "accept") == fits, str(report)


def test_the_need_for_transformers_5_2_is_what_the_wheels_show() -> None:
    has = {v: "glm_moe_dsa" in wheel.model_types for v, wheel in transformers().items()}
    assert has == {"4.57.6": False, "5.1.0": False, "5.2.0": True, "5.23.0": True}


def transformers() -> dict[str, Snapshot]:
    found = (snapshot_for(f"transformers_{v}") for v in ("4_57_6", "5_1_0", "5_2_0", "5_23_0"))
    return {s.version: s for s in found if s is not None}
