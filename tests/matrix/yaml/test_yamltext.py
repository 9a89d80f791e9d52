"""Files that no careful person writes: each is one problem with its line, soon, and never another exception."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError
from matrix.yaml import compose, yamltext
from tests.matrix.yaml.hostile_files import HARMLESS, HOSTILE
from tests.pace import within_cpu_s


def _make_hole(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


NOT_READ: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (Path.mkdir, "cannot be read: it is a directory"),
    "a link to nowhere": (lambda p: p.symlink_to("nowhere"), "cannot be read: No such file"),
    "a link to itself": (lambda p: p.symlink_to(p.name), "cannot be read: Too many levels of symbolic links"),
    "a pipe": (os.mkfifo, "it is no plain file"),
    "a device without end": (lambda p: p.symlink_to("/dev/zero"), "it is no plain file"),
    "a hole": (_make_hole, "at most 524,288 are read"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_one_problem_with_its_line(tmp_path: Path, what: str) -> None:
    text, line, said = HOSTILE[what]
    (tmp_path / "x.yaml").write_bytes(text)
    with within_cpu_s(5):
        found = yamltext.read_document(tmp_path / "x.yaml", "x.yaml")
    assert found.data is None
    assert (found.problems[0].line, said in found.problems[0].message) == (line, True), found.problems[0]
    assert len(found.problems) <= yamltext.MOST_TOLD + 1


@pytest.mark.parametrize("what", NOT_READ)
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, what: str) -> None:
    make, said = NOT_READ[what]
    make(tmp_path / "x.yaml")
    [problem] = yamltext.read_document(tmp_path / "x.yaml", "x.yaml").problems
    assert said in str(problem) and str(problem).startswith("x.yaml: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_nobody_may_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").touch(mode=0)
    [problem] = yamltext.read_document(tmp_path / "x.yaml", "x.yaml").problems
    assert "cannot be read: Permission denied" in str(problem)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_so_is_read(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "x.yaml").write_bytes(text)
    found = yamltext.read_document(tmp_path / "x.yaml", "x.yaml")
    assert (found.problems, found.data) == ([], HARMLESS[text])


def test_of_thousands_of_faults_the_first_are_told_and_the_rest_are_counted(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a: 1\n" * 3_000)
    found = yamltext.read_document(tmp_path / "x.yaml", "x.yaml").problems
    assert str(found[-1]) == "x.yaml:22: and 2,979 more problems in this file"


def test_a_file_that_must_be_sound_is_one_error_with_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    with pytest.raises(ConfigError, match=r"own\.yaml.*cannot be read: No such file"):
        yamltext.read_data(file)
    file.write_text("a: 1\na: 2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"own\.yaml:2.*duplicate key 'a', first on line 1"):
        yamltext.read_data(file)
    file.write_text("a: [1, two]\n", encoding="utf-8")
    assert yamltext.read_data(file) == {"a": [1, "two"]}


def test_the_data_of_a_document_is_what_the_library_would_construct() -> None:
    path = CHECKOUT / "matrix" / "checking" / "checks.yaml"
    held = yaml.load(path.read_text(encoding="utf-8"), Loader=compose.Loader)
    assert repr(yamltext.read_document(path, "checks.yaml").data) == repr(held)


def test_our_largest_files_are_read_once() -> None:
    """What may hold an alias or be deep is scanned before it is composed, which costs a line of `check` a quarter."""
    large = [path for path in (CHECKOUT / "matrix" / "checking").rglob("*.yaml") if path.stat().st_size > 50_000]
    assert large
    for path in large:
        text = path.read_text(encoding="utf-8")
        assert not compose._MAYBE_ALIAS.search(text) and not compose._MAYBE_DEEP.search(text), path.name
        assert text.count("[") + text.count("{") <= compose._MANY, path.name


@pytest.mark.parametrize("text", ["a: b && c\n", "a: made of *.py\n", "a: x * y\n"])
def test_what_only_looks_like_an_alias_is_text(text: str) -> None:
    doc = yamltext.parse_text(text, "x.yaml")
    assert not doc.problems and doc.data == {"a": text.strip().partition(": ")[2]}
