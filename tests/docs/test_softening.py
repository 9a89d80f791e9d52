"""The page of what may be accepted names every key of a policy, every option of ours and every option of `gate`."""

from __future__ import annotations

import argparse
import re
from dataclasses import fields

import pytest

from cli.tree import verb_parser
from cli.verbs import VERBS
from matrix.checkout import CHECKOUT
from reports.gate.policy import Policy

PAGE = (CHECKOUT / "docs/reference/softening.md").read_text("utf-8")


def _list_told(heading: str) -> set[str]:
    """List what stands in the first column of the table below a heading."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")]
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


def test_every_key_of_a_policy_has_its_row() -> None:
    assert _list_told("Keys of a policy") == {f.name for f in fields(Policy)}


def test_every_option_of_ours_has_its_row(pytestconfig: pytest.Config) -> None:
    groups = [g for g in pytestconfig._parser._groups if g.name == "matrix"]
    ours = {name for g in groups for option in g.options for name in option.names()}
    assert {"--cells", "--retry-of"} <= ours
    assert ours - _list_told("Options of pytest") == set()


@pytest.mark.parametrize("verb", ["gate", "report"])
def test_every_option_that_judges_has_its_row(verb: str) -> None:
    own = {name for a in verb_parser(VERBS[verb])._actions for name in a.option_strings} - {"-h", "--help"}
    assert own - _list_told("Options of `gate` and `report`") == set()


def test_every_option_that_certifies_has_its_row() -> None:
    certify, registry = (verb_parser(VERBS[verb]) for verb in ("certify", "registry"))
    (inner,) = (a for a in registry._actions if isinstance(a, argparse._SubParsersAction))
    own = {name for p in (certify, inner.choices["add"]) for a in p._actions for name in a.option_strings}
    assert "--speed-unasked" in own
    assert own - {"-h", "--help"} - _list_told("Options of `certify` and `registry add`") == set()
