"""Patches as data: loaded, applied to text, reverted, and refused when the text is another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from matrix.errors import ConfigError
from matrix.preflight.patch import (
    PATCHES,
    Edit,
    Patch,
    PatchRefused,
    Target,
    apply_edit,
    apply_merge,
    digest_text,
    load_patch,
    revert_edit,
)

BEFORE = b"a = 1\nb = 2\nc = 3\n"
AFTER = b"a = 1\nB = 20\nb = 2\nc = 3\n"
PATCH = Patch(
    id="toy",
    title="t",
    applies_when={},
    why="w",
    source="s",
    upstream="u",
    retires="never",
    target=Target(package="p", file="p/x.py", sha256_before=digest_text(BEFORE), sha256_after=digest_text(AFTER)),
    edit=Edit(line=2, find="b = 2", replace=("B = 20", "b = 2")),
)


def test_applying_twice_and_reverting_twice_change_nothing_more() -> None:
    assert apply_edit(PATCH, BEFORE) == AFTER == apply_edit(PATCH, AFTER)
    assert revert_edit(PATCH, AFTER) == BEFORE == revert_edit(PATCH, BEFORE)


@pytest.mark.parametrize("change", [apply_edit, revert_edit])
def test_another_file_is_refused_with_both_digests(change: Any) -> None:
    with pytest.raises(PatchRefused, match=digest_text(b"other")):
        change(PATCH, b"other")


def test_a_wrong_result_is_refused_even_when_the_line_is_right() -> None:
    assert PATCH.target is not None
    wrong = replace(PATCH, target=replace(PATCH.target, sha256_after="0" * 64))
    with pytest.raises(PatchRefused, match="the result has sha256"):
        apply_edit(wrong, BEFORE)


def test_a_line_that_moved_is_refused() -> None:
    with pytest.raises(PatchRefused, match="line 3"):
        apply_edit(replace(PATCH, edit=Edit(line=3, find="b = 2", replace=())), BEFORE)


@pytest.mark.parametrize("name", sorted(p.parent.name for p in PATCHES.glob("*/patch.yaml")))
def test_every_committed_patch_loads_and_says_what_retires_it(name: str) -> None:
    patch = load_patch(name)
    assert patch.id == name
    assert patch.upstream.startswith("https://")
    assert min(map(len, (patch.why, patch.source, patch.retires))) > 10
    assert (patch.edit is None) == bool(patch.merges)


def test_every_patch_folder_has_its_file() -> None:
    assert {p.name for p in PATCHES.iterdir() if p.is_dir()} == {p.parent.name for p in PATCHES.glob("*/patch.yaml")}


@pytest.mark.parametrize(
    ("facts", "applies"),
    [
        ({"engine": "sglang", "version": Version("0.5.10.post1"), "sm": 120}, True),
        ({"engine": "sglang", "version": Version("0.5.23"), "sm": 120}, False),
        ({"engine": "sglang", "version": Version("0.5.10.post1"), "sm": 100}, False),
        ({"engine": "vllm", "version": Version("0.5.10"), "sm": 120}, False),
    ],
)
def test_the_exclusion_is_for_sglang_0_5_10_on_sm120_alone(facts: dict[str, Any], applies: bool) -> None:
    assert load_patch("sglang_nsa_exclusion_v2").applies(facts) is applies


def test_the_remap_merges_renames_and_is_idempotent() -> None:
    patch = load_patch("trtllm_config_remap")
    config = {"architectures": ["GlmMoeDsaForCausalLM"], "model_type": "glm_moe_dsa", "vocab_size": 8}
    once = apply_merge(patch, "config.json", config)
    assert once == {
        "architectures": ["DeepseekV32ForCausalLM"],
        "model_type": "deepseek_v32",
        "vocab_size": 8,
        "rope_theta": 1000000,
        "rope_scaling": {"type": "none", "factor": 1.0},
    }
    assert apply_merge(patch, "config.json", once) == once
    tokenizer = {"tokenizer_class": "TokenizersBackend", "extra_special_tokens": ["<a>"]}
    assert apply_merge(patch, "tokenizer_config.json", tokenizer) == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "additional_special_tokens": ["<a>"],
    }


def test_the_remap_refuses_another_model() -> None:
    with pytest.raises(PatchRefused, match="architectures"):
        apply_merge(load_patch("trtllm_config_remap"), "config.json", {"architectures": ["LlamaForCausalLM"]})


def test_an_unknown_or_broken_patch_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'trtllm_config_remap'"):
        load_patch("trtllm_config_remapp")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "patch.yaml").write_text("title: x\n")
    with pytest.raises(ConfigError, match="missing keys 'applies_when', 'why'"):
        load_patch("bad", tmp_path)
    whole = "title: x\napplies_when: {}\nwhy: x\nsource: x\nupstream: x\nretires: x\n"
    (tmp_path / "bad" / "patch.yaml").write_text(whole)
    with pytest.raises(ConfigError, match="expected exactly one of `edit`"):
        load_patch("bad", tmp_path)
