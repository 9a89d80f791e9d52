"""Every command that a seed published falls out of the YAML, and our own launch differs only where a reason says so."""

from __future__ import annotations

import shutil
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import yaml

from matrix.condition import FORMS
from matrix.model import Cell, Form
from matrix.planning.expand import expand_matrix, find_cell
from matrix.planning.plan import SECTIONS, Plan, make_plan
from matrix.yaml.load import HERE as MATRIX
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix
from tests.golden.command import HERE, Golden, flags, value

GOLDENS = [Golden.read(path) for path in sorted(HERE.glob("*.sh"))]
COMPARED = ("args", "env", "config", "tokenizer_config", "serve_config", "launcher")
# docs/sources/001.md prints one launch twice, plain and by docker; the plain line cannot know the container.
CONTAINED = [g for g in GOLDENS if g.name != "001_vllm_fp8"]
goldens = pytest.mark.parametrize("golden", GOLDENS, ids=attrgetter("name"))
contained = pytest.mark.parametrize("golden", CONTAINED, ids=attrgetter("name"))
corrected = pytest.mark.parametrize("golden", [g for g in GOLDENS if "corrected" in g.header], ids=attrgetter("name"))


def cell_of(golden: Golden, matrix: Matrix) -> Cell:
    found = find_cell(matrix, golden.header["cell"][0])
    assert found is not None, golden.header["cell"]
    return found


def planned(golden: Golden, form: Form, matrix: Matrix | None = None) -> Plan:
    matrix = matrix or load_matrix()
    return make_plan(matrix, cell_of(golden, matrix), form)


def planned_flags(p: Plan) -> dict[str, Any]:
    words = [w for w in p.arguments() if w != "{model}" or p.cell.engine.model_argument]
    return dict(flags(words, {}))


def planned_launcher(p: Plan) -> dict[str, Any]:
    """Return the container as a launch line says it: its kind shows only in whether there is an image."""
    launcher = p.values("launcher")
    image = {"image": p.cell.release.image} if launcher.pop("kind", None) == "docker" else {}
    return launcher | image


def differences(golden: Golden) -> dict[str, tuple[Any, Any]]:
    """section.key -> (published, recommended), for every value that is not the same."""
    sides = [_values(planned(golden, form)) for form in ("published", "recommended")]
    keys = sorted(sides[0].keys() | sides[1].keys())
    found = {k: (sides[0].get(k), sides[1].get(k)) for k in keys}
    return {k: v for k, v in found.items() if v[0] != v[1]}


def _values(p: Plan) -> dict[str, Any]:
    values = {f"{name}.{s.key}": s.value for name in COMPARED for s in p.sections[name] if s.value is not None}
    return values | {f"patches.{name}": True for name in p.patch_names}


@goldens
def test_the_published_flags_fall_out_of_the_yaml(golden: Golden) -> None:
    assert planned_flags(planned(golden, "published")) == golden.command.flags


@goldens
def test_the_published_program_and_model_fall_out_of_the_yaml(golden: Golden) -> None:
    p = planned(golden, "published")
    positional = [] if p.cell.engine.model_argument else ["{model}"]
    assert [*p.cell.engine.command, *positional] == golden.command.program


@goldens
def test_the_published_environment_falls_out_of_the_yaml(golden: Golden) -> None:
    assert planned(golden, "published").env == golden.command.env


@contained
def test_the_published_container_falls_out_of_the_yaml(golden: Golden) -> None:
    assert planned_launcher(planned(golden, "published")) == golden.command.launcher


@goldens
def test_the_published_files_fall_out_of_the_yaml(golden: Golden) -> None:
    p = planned(golden, "published")
    assert p.values("config") == golden.merge("config.json")
    assert p.values("tokenizer_config") == golden.merge("tokenizer_config.json")
    assert p.values("serve_config") == golden.merge("serve.yaml")


@goldens
def test_the_published_patches_fall_out_of_the_yaml(golden: Golden) -> None:
    assert planned(golden, "published").patch_names == golden.header.get("patch", ())


@corrected
def test_the_recommended_launch_differs_exactly_where_the_golden_says(golden: Golden) -> None:
    assert set(differences(golden)) == set(golden.header["corrected"])


@corrected
def test_every_difference_is_set_by_an_overlay_with_a_form_and_a_reason(golden: Golden) -> None:
    matrix = load_matrix()
    facts = cell_of(golden, matrix).facts
    reasons: dict[str, str] = {}
    for overlay in matrix.overlays:
        if "form" in overlay.value.when and any(overlay.condition(facts, form) for form in FORMS):
            for section in (*SECTIONS, "patches"):
                for key in _keys(getattr(overlay.value, section)):
                    reasons[f"{section}.{key}"] = overlay.value.why
    assert {k for k in differences(golden) if len(reasons.get(k, "")) < 40} == set()


def _keys(tree: Any, at: str = "") -> list[str]:
    if not isinstance(tree, dict):
        return [f"{at}{p}" for p in tree]
    return [k for name, v in tree.items() for k in ([f"{at}{name}"] + (_keys(v, f"{at}{name}.") if _deep(v) else []))]


def _deep(v: Any) -> bool:
    return isinstance(v, dict) and bool(v)


def test_the_remap_patch_and_the_recipe_say_the_same() -> None:
    golden = next(g for g in GOLDENS if g.name == "000_trtllm")
    patch = MATRIX / "patches" / "trtllm_config_remap" / "patch.yaml"
    merges = yaml.safe_load(patch.read_text(encoding="utf-8"))["merges"]
    tokenizer = merges["tokenizer_config.json"]
    assert merges["config.json"]["set"] == golden.merge("config.json")
    assert golden.merge("tokenizer_config.json") == tokenizer["set"] | {
        new: {"$rename": old} for old, new in tokenizer["rename"].items()
    }


def test_indexcache_under_the_exclusion_patch_is_not_run() -> None:
    golden = next(g for g in GOLDENS if g.name == "004_sglang_indexcache")
    excluded = expand_matrix(load_matrix()).excluded[cell_of(golden, load_matrix())]
    assert (excluded.rule, excluded.status) == ("nsa_exclusion_makes_indexcache_inert", "INVALID_COMBO")


def test_the_sampling_profiles_are_those_of_the_seeds() -> None:
    by_name = {g.name: g for g in GOLDENS}
    assert planned(by_name["004_sglang_baseline"], "recommended").values("sampling") == {
        "strict": {"temperature": 0.0, "repetition_penalty": 1.05},
        "chat": {"temperature": 0.5, "top_p": 0.95, "frequency_penalty": 0.3, "repetition_penalty": 1.05},
    }
    preferred = planned(by_name["003_sglang"], "recommended").values("sampling")["preferred"]
    assert preferred == {"temperature": 1.0, "top_p": 0.95}


@pytest.mark.parametrize(
    ("name", "file", "old", "new"),
    [
        ("004_sglang_baseline", "sglang.yaml", "--page-size: 128", "--page-size: 64"),
        ("003_vllm", "vllm.yaml", 'VLLM_LOG_STATS_INTERVAL: "1"', 'VLLM_LOG_STATS_INTERVAL: "2"'),
        ("000_trtllm", "trtllm.yaml", "memlock=-1, ", ""),
        ("000_trtllm", "trtllm.yaml", "rope_theta: 1000000", "rope_theta: 10000"),
    ],
)
def test_a_changed_value_no_longer_matches_the_seed(name: str, file: str, old: str, new: str, tmp_path: Path) -> None:
    root = tmp_path / "matrix"
    shutil.copytree(MATRIX, root, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    recipe = root / "recipes" / file
    text = recipe.read_text(encoding="utf-8")
    assert old in text
    recipe.write_text(text.replace(old, new), encoding="utf-8")
    golden = next(g for g in GOLDENS if g.name == name)
    p = planned(golden, "published", load_matrix(root))
    same = (
        planned_flags(p) == golden.command.flags
        and p.env == golden.command.env
        and planned_launcher(p) == golden.command.launcher
        and p.values("config") == golden.merge("config.json")
    )
    assert not same


def test_a_path_is_read_as_the_model_only_as_a_whole_word() -> None:
    header = {"model": ("org/name",)}
    assert value("org/name", header) == "{model}"
    assert value("org/name/chat_template.jinja", header) == "{model}/chat_template.jinja"
    assert value("org/name-MTP", header) == "org/name-MTP"


LESSONS = {
    "--triton-attention-num-kv-splits": 64,
    "--moe-runner-backend": "cutlass",
    "--fp4-gemm-backend": "flashinfer_cudnn",
    "--mem-fraction-static": 0.94,
    "--watchdog-timeout": 1800,
    "--pre-warm-nccl": True,
}


def mine(cell_id: str, **changes: Any) -> Plan:
    """Plan a checkpoint of one's own: the cell's, with another id and what `changes` says."""
    found = find_cell(load_matrix(), cell_id)
    assert found is not None
    return make_plan(load_matrix(), replace(found, checkpoint=replace(found.checkpoint, id="mine", **changes)))


def test_what_seed_004_learnt_belongs_to_the_gpu_and_not_to_its_checkpoint() -> None:
    """A user's own prune to 200 experts gets it on SM120 over PCIe, and nobody on another fabric does."""
    own = mine("sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline", experts=200)
    assert LESSONS.items() <= own.values("args").items()
    assert own.env["NCCL_BUFFSIZE"] == "4194304" and own.env["NCCL_SOCKET_IFNAME"] == "lo"
    elsewhere = mine("sm100x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline", experts=200)
    assert not LESSONS.keys() & elsewhere.values("args").keys()
    assert "NCCL_BUFFSIZE" not in elsewhere.env
    drafting = mine("sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.mtp", experts=200)
    assert drafting.values("args")["--mem-fraction-static"] == 0.88


def test_the_kv_dtype_that_two_sources_contradict_each_other_about_is_the_safe_one() -> None:
    golden = next(g for g in GOLDENS if g.name == "002_sglang")
    published, ours = (
        planned(golden, form).setting("args", "--kv-cache-dtype") for form in ("published", "recommended")
    )
    assert published is not None and ours is not None
    assert (published.value, ours.value) == ("fp8_e4m3", "bfloat16")
    assert "docs/sources/002.md" in ours.source and "rtx6kpro" in ours.source
