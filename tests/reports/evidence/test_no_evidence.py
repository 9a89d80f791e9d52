"""A file that is not there: the nearest name, or what lies beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from matrix.errors import ConfigError
from reports.evidence.files import read_records


def _lay_runs(folder: Path, *names: str) -> None:
    for age, name in enumerate(names):
        (folder / name).write_text("")
        os.utime(folder / name, (1_000_000 - age, 1_000_000 - age))


def test_beside_evidence_that_nobody_wrote_lies_what_make_try_wrote(tmp_path: Path) -> None:
    _lay_runs(tmp_path, "try.jsonl", "night_of_a_week.jsonl.gz", "notes.txt")
    with pytest.raises(ConfigError) as told:
        read_records(tmp_path / "evidence.jsonl")
    said = str(told.value)
    assert said.index("try.jsonl") < said.index("night_of_a_week.jsonl.gz") and "notes.txt" not in said


def test_a_misspelt_name_is_told_alone(tmp_path: Path) -> None:
    _lay_runs(tmp_path, "evidence.jsonl", "try.jsonl")
    with pytest.raises(ConfigError, match=r"did you mean .*evidence\.jsonl") as told:
        read_records(tmp_path / "evidense.jsonl")
    assert "try.jsonl" not in str(told.value)


def test_an_empty_folder_says_who_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did anything run") as told:
        read_records(tmp_path / "evidence.jsonl")
    assert "that is there" not in str(told.value)


def test_a_link_that_leads_nowhere_is_not_what_is_meant(tmp_path: Path) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.symlink_to(other)
    other.symlink_to(one)
    with pytest.raises(ConfigError, match="levels of symbolic links") as told:
        read_records(one)
    assert f"did you mean '{one}'" not in str(told.value)
