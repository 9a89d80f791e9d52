"""Names that an engine looks up late: each list is for releases that were read, at a setting that opens the file."""

from __future__ import annotations

from packaging.specifiers import SpecifierSet

from matrix.checking.closed_names import SETTINGS, read_lists
from matrix.checking.settings import read_kinds


def test_a_list_is_about_a_setting_that_opens_the_file() -> None:
    for entry in read_lists():
        setting = entry["at"].partition(".")[0]
        assert setting in SETTINGS
        assert setting in read_kinds()
        # a release after the last that was read may have another name; a flag's are read out of each
        assert "flag" in entry or any(s.operator == "<" for s in SpecifierSet(entry["version"])), entry["at"]


def test_what_is_written_instead_is_a_name() -> None:
    for entry in read_lists():
        assert set(entry.get("instead", {}).values()) <= set(entry["names"])
        assert not set(entry.get("instead", {})) & set(entry["names"])
