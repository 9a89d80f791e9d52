"""Conditions over pinned libraries: they hold where the release's own metadata makes them certain, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement
from packaging.version import Version

from matrix.condition import compile_condition, find_condition_problems
from matrix.errors import ConfigError
from matrix.pins import Pins, parse_pins, with_prereleases
from matrix.yaml.load import load_matrix
from tests.matrix.world import FILES, write

REAL = load_matrix().pins


@pytest.mark.parametrize(
    ("pin", "wanted", "holds"),
    [
        ("==0.6.18", ">=0.6.18,<0.7", True),
        ("==0.7.2", ">=0.6.18,<0.7", False),
        ("==0.6.15.post1", "<0.6.16", True),
        ("==0.6.18.dev20260819", ">=0.6.18.dev0,<0.7", True),
        ("==0.6.18.dev20260819", ">=0.6.18,<0.7", False),
        (">=4.56.0,<5", "<5.2", True),  # a range: all of it lies inside
        (">=5.5.3", "<5.6", False),  # a range: some of it does, and nobody knows which version is installed
        (">=0.6", ">=0.6.18,<0.7", False),
        ("", ">=0", False),  # named without a version: unknown
        ("===0.6.18", ">=0.6.18,<0.7", False),  # compares text
        (">2,<1", ">=0.6.18,<0.7", False),  # an empty range says nothing
    ],
)
def test_a_pin_matches_only_where_every_version_it_allows_does(pin: str, wanted: str, holds: bool) -> None:
    pins = Pins(declared={"toy_1": {"lib": pin}})
    assert pins.allows_only("toy_1", "lib", wanted) is holds


def test_what_is_not_known_never_matches() -> None:
    pins = Pins(declared={"toy_1": {"lib": "==1.0"}})
    assert not pins.allows_only("toy_1", "other", ">=0")
    assert not pins.allows_only("toy_2", "lib", ">=0")
    assert not REAL.allows_only("vllm_fork_003", "flashinfer-python", ">=0"), "another release's pins are not a fork's"


def test_pins_are_read_from_the_releases_own_snapshot() -> None:
    assert REAL.allows_only("vllm_0_33_0", "flashinfer-python", "==0.7.2.post1")
    assert REAL.allows_only("sglang_0_5_17", "FlashInfer_Python", ">=0.6.15,<0.6.16"), "names are normalised"
    assert REAL.allows_only("vllm_0_26_0", "xgrammar", ">=0.2.1,<1"), "a marker that holds on this host is no obstacle"
    assert not REAL.allows_only("vllm_0_26_0", "xgrammar", "==0.2.1"), "0.26.0 allows newer ones, too"


def test_a_pin_alone_is_what_all_lines_together_say() -> None:
    for release, named in REAL.declared.items():
        declared = parse_pins(f"{name}{text}" for name, text in named.items())
        whole = {**declared, **parse_pins(REAL._required(release))}
        assert REAL.pinned_by(release) == whole, release
        assert all(REAL.is_pinned(name) for name in whole)
    assert not REAL.is_pinned("nobody_pins_this")


def test_a_line_that_is_no_requirement_is_refused(tmp_path: Path) -> None:
    (tmp_path / "toy_1.json").write_text(json.dumps({"requires": ["fine==1", "==2"]}))
    with pytest.raises(InvalidRequirement):
        Pins(snapshots=tmp_path).pinned_by("toy_1")


def test_markers_extras_and_several_lines() -> None:
    found = parse_pins(
        ["a==1; sys_platform == 'win32'", "b[cu13]==2", "c>=1", "c<3; python_version >= '3.8'", "d==1; extra == 'x'"]
    )
    assert {name: str(pin) for name, pin in found.items()} == {"b": "==2", "c": "<3,>=1"}


VERSIONS = st.builds(
    lambda a, b, post: f"{a}.{b}{post}", *[st.integers(0, 3)] * 2, st.sampled_from(["", "rc1", ".post1"])
)
RANGES = st.lists(st.tuples(st.sampled_from([">=", "<", "<=", ">", "==", "!="]), VERSIONS), min_size=1, max_size=3).map(
    lambda parts: ",".join(op + version for op, version in parts)
)


@given(RANGES, RANGES, VERSIONS)
def test_a_match_holds_for_every_version_that_the_pin_allows(pin: str, wanted: str, version: str) -> None:
    if Pins(declared={"toy": {"lib": pin}}).allows_only("toy", "lib", wanted) and Version(version) in with_prereleases(
        pin
    ):
        assert Version(version) in with_prereleases(wanted)


@given(RANGES, RANGES)
def test_a_wider_range_never_loses_a_match(pin: str, wanted: str) -> None:
    pins = Pins(declared={"toy": {"lib": pin}})
    if pins.allows_only("toy", "lib", wanted):
        assert pins.allows_only("toy", "lib", wanted.split(",", maxsplit=1)[0])


def test_a_condition_asks_the_release_it_speaks_of() -> None:
    pins = Pins(declared={"toy_1": {"lib": "==0.6.18"}, "toy_2": {"lib": "==0.7.2"}})
    condition = compile_condition({"pins": {"lib": ">=0.6.18,<0.7"}, "sm": 120}, pins)
    assert condition.weight == 2
    assert condition({"release": "toy_1", "sm": 120})
    assert not condition({"release": "toy_2", "sm": 120})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"flashinfr-python": "<1"}, "no release pins a library 'flashinfr-python'; did you mean 'flashinfer-python'?"),
        ({"flashinfer-python": "about 0.6"}, "not a PEP 440 specifier for 'flashinfer-python'"),
        ({"flashinfer-python": ""}, "expected a specifier"),
        ({"flashinfer-python": 0.6}, "expected a specifier"),
        ("flashinfer-python<1", "expected libraries with specifiers"),
        ({}, "expected libraries with specifiers"),
    ],
)
def test_a_wrong_pins_condition_is_told_with_the_nearest_word(value: object, message: str) -> None:
    [(key, said), *_] = find_condition_problems({"pins": value}, {}, REAL)
    assert key == "pins"
    assert message in said


@pytest.mark.parametrize("name", ["rules.yaml", "known_failures.yaml", "recipes/toy.yaml"])
def test_rules_known_failures_and_overlays_may_name_libraries(tmp_path: Path, name: str) -> None:
    """The same condition everywhere: a typo in it is told with file and line, a right one is compiled."""
    old = {
        "rules.yaml": "features: [mtp]",
        "known_failures.yaml": "release: toy_2",
        "recipes/toy.yaml": "features: [mtp]",
    }
    text = FILES[name].replace(old[name], "pins: {libb: '<1'}", 1)
    snapshot = {"snapshots/toy_2.json": json.dumps({"requires": ["liba==0.5"]})}
    with pytest.raises(ConfigError, match=rf"{name}:\d+ .*no release pins a library 'libb'; did you mean 'liba'"):
        load_matrix(write(tmp_path / "typo", {name: text, **snapshot}))
    load_matrix(write(tmp_path / "right", {name: text.replace("libb", "liba"), **snapshot}))
