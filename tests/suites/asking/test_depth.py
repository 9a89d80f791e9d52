"""depths.yaml is what a person tunes: each mistake is one problem with its line and the nearest word."""

from __future__ import annotations

import itertools
from dataclasses import fields
from pathlib import Path

import pytest

from matrix.errors import ConfigError
from suites.asking.depth import BESIDE, DEPTHS, FILE, FIRST, NAMES, QUICK, choose_depth, read_depths

TEXT = FILE.read_text("utf-8")


def changed(folder: Path, old: str, new: str) -> Path:
    assert old in TEXT
    path = folder / "depths.yaml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    return path


def test_the_depths_are_read_in_order() -> None:
    assert tuple(DEPTHS) == NAMES
    assert all(depth.name == name for name, depth in DEPTHS.items())


def test_a_number_that_is_changed_counts(tmp_path: Path) -> None:
    assert read_depths(changed(tmp_path, "  facts: 3\n", "  facts: 4\n"))["beside"].facts == BESIDE.facts + 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  facts: 3\n", "  fact: 3\n", r"depths\.yaml:8.*unknown key 'fact'; did you mean 'facts'"),
        ("  facts: 3\n", "  facts: three\n", r"depths\.yaml:8.*a whole number"),
        ("  facts: 3\n", "  facts: -1\n", r"depths\.yaml:8.*0 or more, got -1"),
        ("needle_depths: [0.2, 0.7]", "needle_depths: [0.2, 7]", r"depths\.yaml:\d+.*share from 0 to 1, got 7"),
        ("[multi_key, multi_value]", "[multi_keys]", r"depths\.yaml:\d+.*did you mean 'multi_key'"),
        ("full:\n", "ful:\n", r"unknown depth 'ful'; did you mean 'full'"),
        ("quick:\n", "quick: 3\nquick_:\n", r"no depth 'quick'"),
    ],
)
def test_a_mistake_names_its_line_and_what_was_expected(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_depths(changed(tmp_path, old, new))


def test_first_asks_less_only_of_a_cell_beside_its_base() -> None:
    assert choose_depth("first", has_base=False) is FIRST
    assert choose_depth("first", has_base=True) is BESIDE
    assert choose_depth("quick", has_base=True) is QUICK
    assert choose_depth("first", has_base=False, on_gpu=True) is QUICK
    assert choose_depth("full", has_base=False) is DEPTHS["full"]


def test_each_depth_asks_at_least_what_the_one_before_asks() -> None:
    for less, more in itertools.pairwise((BESIDE, *DEPTHS.values())):
        numbers = [f.name for f in fields(less) if type(getattr(less, f.name)) is int]
        assert [n for n in numbers if getattr(less, n) > getattr(more, n)] == []


def test_first_asks_as_many_as_quick_by_prompts_that_begin_alike() -> None:
    differs = {f.name for f in fields(FIRST) if getattr(FIRST, f.name) != getattr(QUICK, f.name)}
    assert differs == {"name", "one_text", "single_stream_tokens", "load_warm_up"}
    assert (FIRST.one_text, BESIDE.one_text) == (True, True)
    assert not any(depth.one_text for depth in DEPTHS.values() if depth is not FIRST)
