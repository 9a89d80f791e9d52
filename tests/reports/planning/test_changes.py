"""Which cells a change is about."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from matrix.errors import ConfigError, HostError
from matrix.planning.plan import make_plan
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix
from reports.planning import changes
from reports.planning.changes import compare_cells, find_changed, list_changed_files
from tests.matrix.scheduling.world import BIG, list_cells

CELLS = list_cells("sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4")


def before(**parts: Any) -> Matrix:
    matrix = load_matrix()
    return replace(matrix, rigs={"sm120x4": matrix.rigs["sm120x4"]}, **parts)


def test_the_same_matrix_changes_nothing() -> None:
    assert compare_cells(before(), load_matrix(), CELLS) == {}


def test_a_cell_whose_launch_changed_says_so() -> None:
    old = load_matrix().overlays
    dropped = next(o for o in old if o.value.args and o.condition(list_cells(BIG)[0].facts))
    found = compare_cells(before(overlays=tuple(o for o in old if o is not dropped)), load_matrix(), CELLS)
    assert found[BIG] == "its launch changed"


def test_a_cell_that_was_excluded_or_is_new_says_so() -> None:
    matrix = load_matrix()
    few = {k: v for k, v in matrix.checkpoints.items() if k != "glm51_478b_nvfp4"}
    assert compare_cells(before(checkpoints=few), matrix, CELLS)[BIG] == "it is new"


def test_a_fact_without_an_effect_on_the_launch_is_named() -> None:
    matrix = load_matrix()
    other = replace(matrix.checkpoints["glm51_478b_nvfp4"], experts=161)
    found = compare_cells(before(checkpoints={**matrix.checkpoints, other.id: other}), matrix, CELLS)
    assert found[BIG] == "its facts changed: experts"


def test_a_patch_touches_the_cells_that_carry_it() -> None:
    carried = next(c for c in list_cells("sm120x4.") if make_plan(load_matrix(), c).patch_names)
    (name, *_) = make_plan(load_matrix(), carried).patch_names
    found = compare_cells(before(), load_matrix(), [*CELLS, carried], [f"matrix/patches/{name}/fix.patch"])
    assert found[carried.id] == f"its patch changed: {name}"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with one commit and one changed file."""
    root = tmp_path_factory.mktemp("clone")
    (root / "suites").mkdir()
    (root / "suites" / "test_x.py").write_text("1")
    (root / "README.md").write_text("1")
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "one"]):
        subprocess.run(["git", "-C", str(root), *words], check=True)
    return root


def test_changed_and_unknown_files_count(clone: Path) -> None:
    (clone / "README.md").write_text("2")
    (clone / "new.md").write_text("1")
    assert list_changed_files("HEAD", clone) == ("README.md", "new.md")
    assert find_changed(load_matrix(), CELLS, "HEAD", clone).why == {}


def test_a_change_of_what_is_asked_is_about_every_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    files = ("docs/a.md", "suites/test_needle.py")
    monkeypatch.setattr(changes, "list_changed_files", lambda *_: files)
    found = find_changed(load_matrix(), CELLS, "main")
    assert found.keep_changed(CELLS) == list(CELLS)
    assert found.why[BIG] == "how cells are asked changed: suites/test_needle.py"


@pytest.mark.parametrize("revision", ["nothing", "--exec=x", ""])
def test_a_revision_that_is_none_is_one_error(revision: str, clone: Path) -> None:
    with pytest.raises(ConfigError, match="commit, tag or branch"):
        list_changed_files(revision, clone)


def test_a_folder_without_git_is_the_hosts_fault(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="needs a git clone"):
        list_changed_files("HEAD", tmp_path)
