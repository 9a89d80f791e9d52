"""What a server says of itself against what a cell says."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from matrix.judging.identity import (
    ServerIdentity,
    find_differences,
    is_same_version,
    names_of,
    served_names,
)
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, Setting, make_plan
from matrix.yaml.load import load_matrix


@cache
def vllm() -> Plan:
    """Return a plan of a release that tells its engine, its model and its version."""
    cell = next(c for c in expand_matrix(load_matrix()).runnable if c.engine.id == "vllm" and c.checkpoint.repository)
    return make_plan(load_matrix(), cell)


def told(**changes: object) -> ServerIdentity:
    cell = vllm().cell
    own = ServerIdentity(owner=cell.engine.owned_by or "", names=(cell.checkpoint.id,), version=cell.release.version)
    return replace(own, **changes)  # type: ignore[arg-type]


def differing(**changes: object) -> set[str]:
    return set(find_differences(vllm(), told(**changes), load_matrix().checkpoints.values()))


def test_who_says_what_the_cell_says_differs_in_nothing() -> None:
    assert differing() == set()
    assert differing(version=f"{vllm().cell.release.version}+cu130") == set()
    assert differing(names=("other", vllm().cell.checkpoint.id.upper())) == set()
    assert differing(names=(f"{vllm().cell.checkpoint.id}-0123abcd",)) == set()


@pytest.mark.parametrize("form", ["{}", "/models/{}", "/models/{}/", "./{}", "/x/{}"])
def test_a_server_that_was_given_no_name_is_called_as_its_weights_lie(form: str) -> None:
    repository = vllm().cell.checkpoint.repository or ""
    assert differing(names=(form.format(repository),)) == set()
    organisation, _, name = repository.partition("/")
    cached = f"/root/.cache/huggingface/hub/models--{organisation}--{name}/snapshots/abc"
    assert differing(names=(cached,)) == set() == differing(names=("x",), paths=(cached,))


def test_a_path_to_another_checkpoint_outweighs_a_name_that_fits() -> None:
    mine = vllm().cell.checkpoint
    other = next(c for c in load_matrix().checkpoints.values() if c.repository and c.repository != mine.repository)
    assert differing(paths=(f"/models/{other.repository}",)) == {"model"}
    assert differing(names=(f"/models/{other.repository}",)) == {"model"}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"owner": ""}, "engine"),
        ({"owner": "stub"}, "engine"),
        ({"names": ("llama-3",)}, "model"),
        ({"names": ("/models/llama-3",)}, "model"),
        ({"names": ()}, "model"),
        ({"version": ""}, "version"),
        ({"version": "0.0.1"}, "version"),
        ({"version": "main"}, "version"),
    ],
)
def test_each_part_that_differs_is_told(changes: dict[str, object], part: str) -> None:
    assert differing(**changes) == {part}


def test_a_release_candidate_is_another_version() -> None:
    release = vllm().cell.release
    assert is_same_version(release.version, release) and not is_same_version(f"{release.version}rc1", release)
    assert not is_same_version("not a version", release)


def test_each_difference_says_what_was_told_and_what_the_cell_is() -> None:
    cell, plan = vllm().cell, vllm()
    silent = find_differences(plan, ServerIdentity())
    assert silent["engine"].startswith("it says nothing (owned_by of /v1/models), and ")
    assert silent["model"].startswith(f"it serves none; the cell is {cell.checkpoint.id}, known as ")
    other = find_differences(plan, told(owner="stub", names=("llama-3",), paths=("/w/llama-3",), version="0.0.1"))
    assert other["engine"].startswith("it says 'stub' (owned_by")
    assert other["model"].startswith("it serves 'llama-3', '/w/llama-3'; the cell is ")
    assert ", ".join(sorted(names_of(cell.checkpoint).union(served_names(plan)))) in other["model"]
    assert other["version"] == f"it says 0.0.1, and the cell is {cell.release.version}"


def test_a_fork_s_version_is_not_compared_and_another_release_s_is() -> None:
    plan = vllm()
    fork = replace(plan, cell=replace(plan.cell, release=replace(plan.cell.release, fork=True)))
    assert find_differences(fork, told(version="")) == {}
    assert set(find_differences(plan, told(version=""))) == {"version"}


def test_a_checkpoint_without_a_repository_has_no_name_but_its_own_and_its_path() -> None:
    local = replace(vllm().cell.checkpoint, id="Mine", repository=None, weights_path=None)
    assert names_of(local) == {"mine"}
    assert names_of(replace(local, weights_path="/w/GLM/")) == {"mine", "/w/glm"}
    assert names_of(replace(local, repository="Org/GLM")) == {"mine", "org/glm", "glm"}


@pytest.mark.parametrize(("value", "names"), [("glm", ("glm",)), (["glm", 5], ("glm", "5")), (None, ())])
def test_a_plan_serves_under_the_names_that_it_sets(value: object, names: tuple[str, ...]) -> None:
    plan = vllm()
    flag = plan.cell.engine.served_name_argument
    assert flag is not None
    own = Setting(path=(flag,), value=value, why="", source="", overlay="", where="", weight=0)
    named = replace(plan, sections={**plan.sections, "args": (own,)})
    assert served_names(named) == names
    assert find_differences(named, told(names=(*names, "other")[:1])).keys() == (set() if names else {"model"})
    nameless = replace(named, cell=replace(plan.cell, engine=replace(plan.cell.engine, served_name_argument=None)))
    assert served_names(nameless) == ()


def test_a_slash_behind_a_name_is_no_difference_and_one_before_it_makes_a_path() -> None:
    assert differing(names=(f" {vllm().cell.checkpoint.id}/ ",)) == set()
