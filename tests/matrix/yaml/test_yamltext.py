"""Files that no careful person writes: each is one problem with its line, soon, and never another exception."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from matrix.errors import ConfigError
from matrix.yaml import yamltext

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {  # text -> line and what is said
    "a date that is none": ("a: 1\nb: 2027-99-99\n", 2, "is no date"),
    "a tag of nobody": ("a: 1\nb: !foo [x]\n", 2, "the tag '!foo' is not used here"),
    "a tag that runs": ("b: !!python/object/apply:os.getcwd []\n", 1, "python/object/apply:os.getcwd' is not used"),
    "a tag on a key": ("!foo b: 1\n", 1, "the tag '!foo' is not used here"),
    "bytes": ("a: !!binary aGk=\n", 1, "is not used here"),
    "a set": ("a: !!set {x: null}\n", 1, "is not used here"),
    "a map as a key": ("a: 1\n{b: 1}: 2\n", 2, "a key is one word"),
    "a list as a key": ("? [a, b]\n: 2\n", 1, "a key is one word"),
    "an alias of itself": ("a: 1\nr: &r [*r]\n", 2, "'r' is an anchor or an alias"),
    "an alias inside of itself": ("a: &a {b: *a}\n", 1, "'a' is an anchor or an alias"),
    "an alias": ("a: &x [PASS]\nb: *x\n", 1, "'x' is an anchor or an alias"),
    "an alias bomb": (BOMB, 1, "'a' is an anchor or an alias"),
    "a merge": ("a: 1\n<<: {b: 2}\n", 2, "`<<` merges another map"),
    "base 60": ("a: 1\nb: 190:20:30\n", 2, "'190:20:30' is a number of base 60"),
    "base 60 with a point": ("b: 24:00.5\n", 1, "is a number of base 60"),
    "brackets": ("a: 1\nb: " + "[" * 100_000, 2, "nested more than 40 levels deep"),
    "braces": ("b: " + "{a: " * 5_000, 1, "nested more than 40 levels deep"),
    "dashes": ("- " * 50_000 + "x\n", 1, "nested more than 40 levels deep"),
    "indents": ("".join(" " * n + f"a{n}:\n" for n in range(3_000)), 41, "nested more than 40 levels deep"),
    "two documents": ("a: 1\n---\nb: 1\n", 2, "not valid YAML"),
    "a null character": ("a: x\0\n", 1, "not valid YAML"),
    "a very long number": ("a: " + "9" * 5_000 + "\n", 1, "is no number"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_one_problem_with_its_line(tmp_path: Path, what: str) -> None:
    text, line, said = HOSTILE[what]
    (tmp_path / "x.yaml").write_text(text)
    began = time.process_time()
    found = yamltext.read_document(tmp_path / "x.yaml", "x.yaml")
    assert found.data is None and time.process_time() - began < 10
    assert (found.problems[0].line, said in found.problems[0].message) == (line, True), found.problems[0]


def test_bytes_that_are_no_text_are_a_problem(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"a: \xff\n")
    assert "not valid YAML" in yamltext.read_document(tmp_path / "x.yaml", "x.yaml").problems[0].message


def test_a_pipe_is_not_waited_for_and_a_huge_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "huge.yaml").touch()
    os.truncate(tmp_path / "huge.yaml", yamltext.LARGEST_BYTES + 1)
    for name, said in (("pipe.yaml", "no plain file"), ("huge.yaml", "at most")):
        assert said in yamltext.read_document(tmp_path / name, name).problems[0].message


@pytest.mark.parametrize("make", [Path.mkdir, lambda p: p.symlink_to("nowhere")])
def test_what_cannot_be_read_says_so(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "x.yaml")
    with pytest.raises(OSError, match=r"directory|No such file"):
        yamltext.read_document(tmp_path / "x.yaml", "x.yaml")


def test_words_that_only_look_so_are_read(tmp_path: Path) -> None:
    text = 'a: \'x &y *z\'\nb: [sm120*, a*b, "*"]\nc: 2027-01-31\nd: "24:00"\ne: vllm/vllm-openai:v1\nf: 12:61\n'
    (tmp_path / "x.yaml").write_text(text)
    found = yamltext.read_document(tmp_path / "x.yaml", "x.yaml")
    assert not found.problems and found.data["b"] == ["sm120*", "a*b", "*"] and found.data["f"] == "12:61"


def test_a_file_that_must_be_sound_is_one_error_with_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    with pytest.raises(ConfigError, match=r"own\.yaml.*cannot be read: No such file"):
        yamltext.read_data(file)
    file.write_text("a: 1\na: 2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"own\.yaml:2.*duplicate key 'a', first on line 1"):
        yamltext.read_data(file)
    file.write_text("a: [1, two]\n", encoding="utf-8")
    assert yamltext.read_data(file) == {"a": [1, "two"]}
