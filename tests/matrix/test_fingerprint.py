"""Launches that differ never share a fingerprint: a shared one means one engine, and one identity in evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from matrix.hardware import Json
from matrix.planning.expand import expand_matrix, find_cell
from matrix.planning.plan import DEEP, Plan, Setting, make_plan
from matrix.yaml.load import load_matrix

WORDS = st.text("abc-=/ ", min_size=1, max_size=6)


def plan_of(cell_id: str) -> Plan:
    found = find_cell(load_matrix(), cell_id)
    assert found is not None, cell_id
    return make_plan(load_matrix(), found)


BASE = plan_of("sm90x8.sglang_0_5_17.glm5_fp8.baseline")


def with_cell(made: Plan, part: str, **changes: Any) -> Plan:
    return replace(made, cell=replace(made.cell, **{part: replace(getattr(made.cell, part), **changes)}))


def with_setting(made: Plan, section: str, key: str, value: Json) -> Plan:
    setting = Setting(path=(key,), value=value, why="", source="test", overlay="test", where="test:1", weight=1)
    kept = tuple(s for s in made.sections[section] if s.path != (key,))
    return replace(made, sections={**made.sections, section: (*kept, setting)})


def with_patches(made: Plan, *names: str) -> Plan:
    settings = with_setting(with_setting(made, "env", names[0], True), "env", names[-1], True).sections["env"]
    return replace(made, patches=tuple(s for s in settings if s.key in names))


ONE_CHANGE: Mapping[str, Callable[[Plan, str], Plan]] = {
    "rig": lambda made, text: with_cell(made, "rig", id=text),
    "release": lambda made, text: with_cell(made, "release", id=text),
    "image": lambda made, text: with_cell(made, "release", image=text, image_digest=None),
    "image digest": lambda made, text: with_cell(made, "release", image_digest=text),
    "checkpoint": lambda made, text: with_cell(made, "checkpoint", id=text),
    "revision": lambda made, text: with_cell(made, "checkpoint", revision=text),
    "sha256": lambda made, text: with_cell(made, "checkpoint", sha256=text),
    "flag": lambda made, text: with_setting(made, "args", f"--{text}", True),
    "value of a flag": lambda made, text: with_setting(made, "args", "--chosen", text),
    "values of a flag": lambda made, text: with_setting(made, "args", "--chosen", [text, text]),
    "variable": lambda made, text: with_setting(made, "env", text, "1"),
    "value of a variable": lambda made, text: with_setting(made, "env", "CHOSEN", text),
    "patch": with_patches,
    "two patches": lambda made, text: with_patches(made, text, f"{text} two"),
    **{name: lambda made, text, name=name: with_setting(made, name, "chosen", text) for name in DEEP},  # type: ignore[misc]
    **{f"key of {n}": lambda made, text, n=n: with_setting(made, n, text, "chosen") for n in DEEP},  # type: ignore[misc]
}


@pytest.mark.parametrize("change", ONE_CHANGE)
@given(one=WORDS, other=WORDS)
def test_each_thing_that_makes_a_launch_distinct_changes_it(change: str, one: str, other: str) -> None:
    """From nothing to something, and from one value to another."""
    changed = ONE_CHANGE[change](BASE, one)
    assert changed.fingerprint != BASE.fingerprint
    assert (ONE_CHANGE[change](BASE, other).fingerprint == changed.fingerprint) == (one == other)


@given(st.permutations(range(6)), WORDS)
def test_neither_order_nor_what_only_suites_read_changes_it(order: list[int], text: str) -> None:
    flags = [f"--{n}" for n in range(6)]
    there, back = BASE, BASE
    for n in range(6):
        there = with_setting(there, "args", flags[n], str(n))
        back = with_setting(back, "args", flags[order[n]], str(order[n]))
    assert there.fingerprint == back.fingerprint
    assert with_setting(BASE, "settings", text, text).fingerprint == BASE.fingerprint
    assert replace(BASE, form="published").fingerprint == BASE.fingerprint


@given(one=WORDS, other=WORDS)
def test_the_same_words_in_another_place_are_another_launch(one: str, other: str) -> None:
    """Values that change flags, or their order at one flag: sorted word by word, both pairs were one engine."""
    assume(one != other)

    def launch(tp: Json, dp: Json) -> str:
        return with_setting(with_setting(BASE, "args", "--tp", tp), "args", "--dp", dp).fingerprint

    assert launch(one, other) != launch(other, one)
    assert launch([one, other], "1") != launch([other, one], "1")
    assert launch([one, other], "1") != launch(one, [other, "1"])


def test_two_rigs_with_equal_commands_share_none() -> None:
    """One H200 and one H100 are given the same words."""
    names = [f"{rig}.sglang_0_5_17.canary_bf16.baseline" for rig in ("sm90x1", "sm90x1_h100")]
    one, other = map(plan_of, names)
    assert one.arguments() == other.arguments() and one.env == other.env
    assert one.fingerprint != other.fingerprint


def test_cells_that_share_one_are_launched_alike() -> None:
    """The whole matrix: whatever the hash leaves out, no two cells of today differ in it alone."""
    matrix, launches = load_matrix(), defaultdict(set)
    for cell in expand_matrix(matrix).runnable:
        made = make_plan(matrix, cell)
        shown = repr([made.values(name) for name in ("args", "env", *DEEP)])
        launches[made.fingerprint].add((cell.rig.id, cell.release.id, cell.checkpoint.id, made.patch_names, shown))
    assert [shared for shared in launches.values() if len(shared) > 1] == []
    assert len(launches) > 1000
