"""The model of argparse against argparse itself, and the cases that its users trip over."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.preflight.argparse_model import Use, parse_argv
from matrix.preflight.snapshot import Flag, Snapshot
from matrix.preflight.values import find_complaints


def snapshot(*flags: Flag, dialect: str = "argparse") -> Snapshot:
    return Snapshot(release="toy", engine="toy", version="1", source="test", flags=flags, dialect=dialect)


def flag(*options: str, **fields: Any) -> Flag:
    return Flag(options=options, dest=options[0].lstrip("-").replace("-", "_"), **fields)


def only(argv: list[str], *flags: Flag, dialect: str = "argparse") -> Use:
    (use,) = parse_argv(argv, snapshot(*flags, dialect=dialect))
    return use


def test_a_unique_prefix_means_the_option_and_says_so() -> None:
    use = only(["--tp", "8"], flag("--tp-size", type="int"), flag("--top-k"))
    assert (use.flag is not None, use.values, use.expanded) == (True, ("8",), "--tp-size")


def test_a_shared_prefix_is_ambiguous_and_swallows_its_value() -> None:
    use = only(["--cuda-graph-max-bs", "8"], flag("--cuda-graph-max-bs-decode"), flag("--cuda-graph-max-bs-prefill"))
    assert use.problem == "ambiguous"
    assert use.values == ("8",)
    assert set(use.candidates) == {"--cuda-graph-max-bs-decode", "--cuda-graph-max-bs-prefill"}


def test_an_exact_option_is_never_ambiguous() -> None:
    assert only(["--bs", "8"], flag("--bs"), flag("--bs-max")).problem is None


def test_a_parser_without_abbreviations_knows_no_prefixes() -> None:
    assert only(["--tp", "8"], flag("--tp-size"), dialect="click").problem == "unknown"


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["--n"], "missing_value"),
        (["--n=1"], None),
        (["--n", "-1"], None),
        (["--on=1"], "unexpected_value"),
        (["--on"], None),
        (["--many"], "missing_value"),
        (["--many", "a", "b"], None),
        (["--maybe"], None),
        (["--two", "a"], "missing_value"),
        (["--what"], "unknown"),
        (["loose"], "extra"),
    ],
)
def test_values_are_counted_as_argparse_counts_them(argv: list[str], problem: str | None) -> None:
    flags = (
        flag("--n", type="int"),
        flag("--on", action="store_true"),
        flag("--many", nargs="+"),
        flag("--maybe", nargs="?"),
        flag("--two", nargs=2),
    )
    assert only(argv, *flags).problem == problem


FLAGS = (
    flag("--tp-size", type="int"),
    flag("--top-k", choices=("a", "b")),
    flag("--top-p", type="float"),
    flag("--page", nargs="?"),
    flag("--page-size", type="int", choices=(1, 64)),
    flag("--on", action="store_true"),
    flag("--off-line", "--no-off-line", action="bool_optional"),
    flag("--many", nargs="*"),
    flag("--maybe", nargs="+", choices=("a", "8")),
    flag("-x"),
    Flag(options=("-h", "--help"), dest="help", action="store_true"),
)
WORDS = st.sampled_from(
    (
        "--tp",
        "--tp-size",
        "--top",
        "--top-k",
        "--top-p",
        "--pag",
        "--page",
        "--page-s",
        "--page-size",
        "--on",
        "--o",
        "--off",
        "--no-off-line",
        "--no",
        "--many",
        "--maybe",
        "--ma",
        "-x",
        "-xa",
        "--zz",
        "a",
        "b",
        "8",
        "64",
        "-1",
        "0.5",
        "--tp-size=8",
        "--top-k=c",
        "--on=1",
        "--page=",
        "--ma=1",
        "--maybe=8",
        "x y",
        "-",
        "-z",
        "-x=1",
    )
)
TYPES = {"int": int, "float": float, "str": str}


class Refused(Exception):
    """What the real parser raises here instead of ending the process."""


class RealParser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise Refused(message)


def real_parser() -> RealParser:
    parser = RealParser(prog="toy")
    for f in FLAGS:
        if f.dest == "help":
            continue
        if f.action == "bool_optional":
            parser.add_argument(f.options[0], action=argparse.BooleanOptionalAction)
        elif f.action == "store_true":
            parser.add_argument(*f.options, action="store_true")
        else:
            parser.add_argument(*f.options, nargs=f.nargs, type=TYPES[f.type], choices=f.choices)
    return parser


PARSER = real_parser()


def argparse_accepts(argv: list[str]) -> bool:
    try:
        PARSER.parse_args(argv)
    except Refused:
        return False
    return True


def model_accepts(argv: list[str]) -> bool:
    uses = parse_argv(argv, snapshot(*FLAGS))
    return not any(u.problem or (u.flag and list(find_complaints(u.flag, u.values))) for u in uses)


@given(st.lists(WORDS, max_size=6))
def test_the_model_accepts_exactly_what_argparse_accepts(argv: list[str]) -> None:
    assert model_accepts(argv) == argparse_accepts(argv), argv


def test_a_list_of_numbers_goes_with_the_option_that_nobody_has() -> None:
    """One flag that is gone is one problem, not one for each of its numbers."""
    uses = parse_argv(["--gone", "1", "2", "4.5", "--tp-size", "8"], snapshot(flag("--tp-size", type="int")))
    assert [(use.written, use.values, use.problem) for use in uses][:1] == [("--gone", ("1", "2", "4.5"), "unknown")]
    uses = parse_argv(["--gone", "1", "model"], snapshot(flag("--tp-size", type="int")))
    assert [use.problem for use in uses] == ["unknown", "extra"]
