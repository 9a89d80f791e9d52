"""A feature that varies a launch names partners, sizes and engines that exist; what is wrong is told with its place."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.condition import Condition
from matrix.model import Draft, Family, Feature, Traits
from matrix.yaml.loaded import Loaded
from matrix.yaml.variants import find_wrong_drafts, find_wrong_variants


def load(feature_id: str, **more: Any) -> Loaded[Feature]:
    feature = Feature(id=feature_id, title="t", means="m", proof="p", source="s", **more)
    lines: dict[tuple[str | int, ...], int] = {("partners",): 4, ("ranks",): 5, ("flags",): 6}
    file = f"axes/features/{feature_id}.yaml"
    return Loaded(value=feature, file=file, line=1, lines=lines, condition=Condition((), 0, frozenset()))


@pytest.mark.parametrize(
    ("more", "line", "said"),
    [
        ({"varies": "layout", "partners": ("mpt",)}, 4, "no other feature 'mpt'; did you mean 'mtp'"),
        ({"varies": "layout", "partners": ("stages",)}, 4, "no other feature 'stages'"),
        ({"partners": ("mtp",)}, 4, "only a feature that says what it varies has partners"),
        ({"varies": "layout", "ranks": {"pq": 2}}, 5, "no dimension is 'pq'"),
        ({"varies": "layout", "ranks": {"pp": 1}}, 5, "a number of ranks from 2 on, or all, got 1"),
        ({"varies": "layout", "ranks": {"pp": True}}, 5, "got True"),
        ({"varies": "layout", "ranks": {"ep": "every"}}, 5, "got 'every'"),
        ({"varies": "layout", "flags": {"vlm": ("--x",)}}, 6, "no engine is 'vlm'; did you mean 'vllm'"),
    ],
)
def test_what_no_launch_can_have_is_told_with_its_line(more: dict[str, Any], line: int, said: str) -> None:
    (problem,) = find_wrong_variants([load("stages", **more), load("mtp")], ["vllm", "sglang"])
    assert problem.line == line and said in problem.message


def test_a_sound_variant_is_silent() -> None:
    sound = load("stages", varies="layout", partners=("mtp",), ranks={"pp": 2, "ep": "all"}, flags={"vllm": ("--x",)})
    assert not [*find_wrong_variants([sound, load("mtp")], ["vllm"])]


@pytest.mark.parametrize(
    ("kind", "engine", "said"),
    [
        ("dsparc", "vllm", "no feature's draft is 'dsparc'; did you mean 'dspark'"),
        ("dspark", "vlm", "no engine is 'vlm'; did you mean 'vllm'"),
    ],
)
def test_a_draft_that_nothing_asks_for_or_loads_is_told_with_its_line(kind: str, engine: str, said: str) -> None:
    draft = Draft(repository="a/b", trained_for="a/c", engines=(engine,), source="s")
    family = Family(id="f", title="t", source="s", checkpoints=Traits(), drafts={kind: draft})
    lines: dict[tuple[str | int, ...], int] = {("drafts", kind): 7}
    held = Loaded(value=family, file="f.yaml", line=1, lines=lines, condition=Condition((), 0, frozenset()))
    (problem,) = find_wrong_drafts([held], [load("dspark", varies="draft", draft="dspark")], ["vllm", "sglang"])
    assert problem.line == 7 and said in problem.message
