"""What a server says of itself against what a cell says."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from matrix.errors import OtherServer
from matrix.judging.identity import ServerIdentity, find_differences, is_same_version, require_model
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.load import load_matrix


@cache
def vllm() -> Plan:
    """A plan of a release that tells its engine, its model and its version."""
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
        ({"owner": ""}, "engine"), ({"owner": "stub"}, "engine"),
        ({"names": ("llama-3",)}, "model"), ({"names": ("/models/llama-3",)}, "model"), ({"names": ()}, "model"),
        ({"version": ""}, "version"), ({"version": "0.0.1"}, "version"), ({"version": "main"}, "version"),
    ],
)  # fmt: skip
def test_each_part_that_differs_is_told(changes: dict[str, object], part: str) -> None:
    assert differing(**changes) == {part}


def test_a_release_candidate_is_another_version() -> None:
    release = vllm().cell.release
    assert is_same_version(release.version, release) and not is_same_version(f"{release.version}rc1", release)
    assert not is_same_version("not a version", release)


def test_replies_are_in_the_name_that_was_asked() -> None:
    for replied in ("", "glm", "glm@main"):
        require_model(replied, "glm")
    for replied in ("GLM", "glm-5", "llama"):
        with pytest.raises(OtherServer, match="'glm' was asked") as caught:
            require_model(replied, "glm")
        assert caught.value.replied == replied
