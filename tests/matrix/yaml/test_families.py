"""Families are data: what they state is inherited, and what a checkpoint's own file states counts instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.errors import ConfigError
from matrix.planning.expand import find_cell, list_exclusions
from matrix.planning.plan import make_plan
from matrix.preflight.checkpoints.axis import guess_family
from matrix.yaml.load import load_families, load_matrix
from tests.matrix.world import FILES, write

SMALL = "axes/checkpoints/small.yaml"


def test_a_checkpoint_has_what_its_family_states_and_its_own_file_counts_instead(tmp_path: Path) -> None:
    family = """
id: other
title: Another family
checkpoints: {architecture: Theirs, layers: 8, heads: 16, thinking: always, generation: {top_p: 0.9}}
source: test
"""
    own = FILES[SMALL].replace("family: canary", "family: other").replace("architecture: Glm\n", "")
    small = load_matrix(
        write(tmp_path, {"axes/families/other.yaml": family, SMALL: own.replace("layers: 4\n", "", 1)})
    ).checkpoints["small"]
    assert (small.architecture, small.layers, small.thinking, small.heads) == ("Theirs", 8, "always", 8)
    assert dict(small.generation) == {"top_p": 0.9}


FAMILY = "axes/families/canary.yaml"
NO_FAMILY = "no family is 'glm9'; there are canary; a new family is one file"
WRONG = [
    (SMALL, "family: canary", "family: glm9", f"small.yaml:3 family: {NO_FAMILY}"),
    (FAMILY, "architecture: Glm", "layers: four", "canary.yaml:3 checkpoints.layers: expected a whole number"),
    (FAMILY, "architecture: Glm", "layer: 4", "unknown key 'layer'; did you mean 'layers'?"),
    ("rules.yaml", "rig: cpu", "sm: 121", "no sm is 121; there are 0, 120; a GPU of that capability is one file"),
    ("rules.yaml", "rig: cpu", "family: glm9", NO_FAMILY),
]


@pytest.mark.parametrize(("file", "old", "new", "said"), WRONG, ids=[new for *_, new, _ in WRONG])
def test_what_no_axis_has_says_how_it_is_added(tmp_path: Path, file: str, old: str, new: str, said: str) -> None:
    assert old in FILES[file]
    with pytest.raises(ConfigError) as error:
        load_matrix(write(tmp_path, {file: FILES[file].replace(old, new)}))
    assert said in str(error.value)
    assert len(error.value.problems) == 1


def test_an_unseen_capability_is_a_file_and_no_change_of_code(tmp_path: Path) -> None:
    text = FILES["axes/hardware/big.yaml"].replace("sm: 120", "sm: 121")
    matrix = load_matrix(write(tmp_path, {"axes/hardware/big.yaml": text}))
    cell = find_cell(matrix, "sm120x4.toy_1.small.baseline")
    assert cell is not None
    assert [e.rule for e in list_exclusions(matrix, cell)] == ["format_on_sm"]  # SM120 is not SM121


NAMES = {
    "zai-org/GLM-5": "glm5",
    "GLM-5-FP8": "glm5",
    "lukealonso/GLM-5.1-NVFP4-MTP": "glm51",
    "nvidia/GLM-5.2-NVFP4": "glm52",
    "zai-org/GLM-5.3": "glm53",
    "zai-org/GLM-5.3-Flash": "glm53flash",
    "deepseek-ai/DeepSeek-V3.2": "deepseek_v32",
    "zai-org/GLM-4.5-Air": "",
    "deepseek-ai/DeepSeek-V3": "",
    "GLM-5.12": "",
}


@pytest.mark.parametrize(("name", "family"), NAMES.items())
def test_a_name_tells_its_family(name: str, family: str) -> None:
    assert guess_family(name, load_families()) == family


def test_the_plan_says_whether_answers_think_and_which_parsers_read_them() -> None:
    matrix = load_matrix()
    found = find_cell(matrix, "sm90x8.vllm_0_33_0.glm5_fp8.baseline")
    assert found is not None
    made = make_plan(matrix, found)
    parsers = found.checkpoint.parsers["vllm"]
    assert made.settings["thinking"] is False
    assert made.values("args")["--tool-call-parser"] == parsers["tool_call"]
    assert made.values("args")["--reasoning-parser"] == parsers["reasoning"]


REVISIONS = {
    "repository: a/b\n": "which commit?",
    "repository: a/b\nrevision: main\n": "expected a commit: 40 of 0-9 and a-f, got 'main'",
    f"repository: a/b\nrevision: {'a' * 40}\nrevision_unknown: nobody knows\n": "and there is one",
}


@pytest.mark.parametrize(("keys", "said"), REVISIONS.items())
def test_weights_of_a_repository_are_those_of_a_commit_or_of_a_reason(tmp_path: Path, keys: str, said: str) -> None:
    with pytest.raises(ConfigError, match="1 problem") as error:
        load_matrix(write(tmp_path, {SMALL: FILES[SMALL] + keys}))
    assert said in str(error.value)


DRAFTS = {
    "repository: a/b": "which commit?",
    "repository: a/b, revision: main": "expected a commit: 40 of 0-9 and a-f, got 'main'",
    "repository: not here, revision_unknown: x": "expected a Hugging Face id, OWNER/NAME, got 'not here'",
    f"repository: a/b, revision: {'a' * 40}, revision_unknown: nobody knows": "and there is one",
}


@pytest.mark.parametrize(("keys", "said"), DRAFTS.items())
def test_so_are_those_of_a_draft(tmp_path: Path, keys: str, said: str) -> None:
    text = f"{FILES[FAMILY]}\ndrafts: {{eagle3: {{{keys}, trained_for: a/c, engines: [vllm], source: s}}}}\n"
    with pytest.raises(ConfigError) as error:
        load_matrix(write(tmp_path, {FAMILY: text}))
    assert said in str(error.value)


def test_every_revision_on_the_axes_is_filled_or_says_why_not() -> None:
    big = [c for c in load_matrix().checkpoints.values() if c.repository]
    assert len(big) > 25
    assert all(bool(c.revision) != bool(c.revision_unknown) for c in big)
    assert sum(bool(c.revision) for c in big) >= 15
    drafts = [d for family in load_matrix().families.values() for d in family.drafts.values()]
    assert len(drafts) >= 5
    assert all(bool(d.revision) != bool(d.revision_unknown) for d in drafts)
