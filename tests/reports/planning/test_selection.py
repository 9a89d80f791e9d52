"""The cells that a plan is about."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from matrix.errors import ConfigError
from matrix.yaml.load import load_matrix
from reports.planning.selection import add_options, read_depth, select_cells

GATE = "title: x\nrequire:\n  - {marks: cpu and llamacpp}\nmax_age_h: 1\ndepth: full\n"


def chosen(*words: str) -> list[str]:
    own = argparse.ArgumentParser()
    add_options(own.add_argument)
    return [c.id for c in select_cells(load_matrix(), own.parse_args(words))]


def test_every_option_narrows(tmp_path: Path) -> None:
    gate = tmp_path / "gate.yaml"
    gate.write_text(GATE)
    required = chosen("--policy", str(gate))
    assert required
    assert all(c.startswith("cpu.llamacpp") for c in required)
    assert 0 < len(chosen("--policy", str(gate), "-m", "mtp")) < len(required)
    assert chosen("--rig", "cpu", "--cells", required[0]) == [required[0]]
    assert (read_depth(gate), read_depth(None)) == ("full", "quick")


@pytest.mark.parametrize(("words", "hint"), [(["--rig", "sm12x4"], "sm120x4"), (["-m", "sm12O"], "sm120")])
def test_a_word_that_does_not_exist_names_the_nearest(words: list[str], hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        chosen(*words)
