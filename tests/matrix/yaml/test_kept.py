"""What a YAML file became is kept, and is used only where it is what parsing the file again would give."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from matrix import variables
from matrix.yaml import compose, kept, yamltext
from matrix.yaml.document import Document, iterate_locations

TEXT = "b: [1, 1.0, true, null, '1']\na:\n  when: 2026-11-30\n  ünï: {x: [2027-01-31, []], y: {}}\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a checkout with one YAML file, and a cache that is empty."""
    monkeypatch.setattr(yamltext, "CHECKOUT", tmp_path / "checkout")
    monkeypatch.setenv(variables.XDG_CACHE_HOME.name, str(tmp_path / "cache"))
    monkeypatch.delenv(variables.NO_YAML_CACHE.name, raising=False)
    kept._prune_once.cache_clear()
    kept._UNWRITABLE.clear()
    (tmp_path / "checkout").mkdir()
    path = tmp_path / "checkout/x.yaml"
    path.write_text(TEXT)
    return path


def list_entries(file: Path) -> list[Path]:
    return sorted((file.parents[1] / "cache/glm-matrix/yaml").glob("*"))


def read(file: Path, monkeypatch: pytest.MonkeyPatch, *, parsed: bool) -> Document:
    """Read a file, and hold whether it was parsed against `parsed`."""
    seen: list[str] = []

    def note(doc: Document, text: str) -> None:
        seen.append(text)
        original(doc, text)

    original = compose.compose_document
    with monkeypatch.context() as patch:
        patch.setattr(compose, "compose_document", note)
        doc = yamltext.read_document(file, "x.yaml")
    assert bool(seen) is parsed
    return doc


@pytest.mark.parametrize("text", [TEXT, "a", "2026-11-30", "[2026-11-30, 3]", "- {a: 1}\n- 'a\\nb'\n", "x: 1e3\n"])
def test_what_is_kept_comes_back_with_its_types_and_lines(
    file: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    file.write_text(text)
    first, again = read(file, monkeypatch, parsed=True), read(file, monkeypatch, parsed=False)
    assert repr(again.data) == repr(first.data) and list(again.lines.items()) == list(first.lines.items())
    assert again.line(("a", "when", "nowhere")) == first.line(("a", "when", "nowhere"))


def test_a_reader_that_changes_its_data_changes_no_line_and_no_later_reader(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again = read(file, monkeypatch, parsed=True), read(file, monkeypatch, parsed=False)
    again.data["a"].clear()
    assert again.lines == first.lines
    assert read(file, monkeypatch, parsed=False).data == first.data


def test_a_changed_file_is_parsed_though_its_size_and_time_stay(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(file, monkeypatch, parsed=True)
    before = file.stat()
    file.write_text(TEXT.replace("2026", "2025"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read(file, monkeypatch, parsed=True).data["a"]["when"].year == 2025
    file.write_text(TEXT)
    assert read(file, monkeypatch, parsed=False).data["a"]["when"].year == 2026


def _swap(entry: Path) -> None:
    kept.keep_parsed("other", "other", {(): 1})
    [other] = [path for path in entry.parent.iterdir() if path != entry]
    other.replace(entry)


def _replace(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def replace_entry(entry: Path) -> None:
        entry.unlink()
        make(entry)

    return replace_entry


DAMAGED: dict[str, Callable[[Path], object]] = {
    "torn": lambda entry: os.truncate(entry, entry.stat().st_size - 9),
    "torn where its data ends": lambda entry: entry.write_bytes(b"\n".join(entry.read_bytes().split(b"\n")[:2])),
    "empty": lambda entry: os.truncate(entry, 0),
    "one bit changed": lambda entry: entry.write_bytes(entry.read_bytes().replace(b"2026", b"2024")),
    "no text": lambda entry: entry.write_bytes(b"\xff" * 200),
    "another entry's content": _swap,
    "one that others may write": lambda entry: entry.chmod(0o666),
    "a link": _replace(lambda entry: entry.symlink_to(Path(__file__))),
    "a pipe": _replace(os.mkfifo),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_an_entry_that_is_not_what_we_wrote_is_not_used_and_is_renewed(
    file: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    first = read(file, monkeypatch, parsed=True)
    [entry] = list_entries(file)
    DAMAGED[what](entry)
    assert read(file, monkeypatch, parsed=True).data == first.data
    assert read(file, monkeypatch, parsed=False).data == first.data


def test_an_entry_of_another_user_is_not_used(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(file, monkeypatch, parsed=True)
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    if own:  # root's entries are taken by everybody
        read(file, monkeypatch, parsed=True)
    else:
        os.chown(list_entries(file)[0], 12_345, -1)
        read(file, monkeypatch, parsed=True)


def test_two_writers_at_once_leave_one_whole_entry(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(file, monkeypatch, parsed=True)

    def write_and_read(_: int) -> Any:
        kept.keep_parsed(TEXT, first.data, first.lines)
        found = kept.find_parsed(TEXT)
        return found and found[0]

    with ThreadPoolExecutor(4) as pool:
        assert all(found == first.data for found in pool.map(write_and_read, range(100)))
    assert len(list_entries(file)) == 1, "no unfinished file is left"


@pytest.mark.parametrize(
    "text", ["a: 1\na: 2\n", "a: 2026-11-30 10:00:00\n", "# no value\n"], ids=["unsound", "a time of day", "nothing"]
)
def test_what_is_unsound_or_would_come_back_as_something_else_is_not_kept(
    file: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    file.write_text(text)
    first, again = read(file, monkeypatch, parsed=True), read(file, monkeypatch, parsed=True)
    assert (again.data, again.problems) == (first.data, first.problems) and not list_entries(file)


def test_a_file_of_no_checkout_is_parsed_and_leaves_nothing(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = file.rename(tmp_path / "x.yaml")
    read(other, monkeypatch, parsed=True)
    read(other, monkeypatch, parsed=True)
    assert not list_entries(file)


def test_the_switch_turns_reading_and_writing_off(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variables.NO_YAML_CACHE.name, "1")
    read(file, monkeypatch, parsed=True)
    assert not list_entries(file)
    monkeypatch.delenv(variables.NO_YAML_CACHE.name)
    read(file, monkeypatch, parsed=True)
    monkeypatch.setenv(variables.NO_YAML_CACHE.name, "1")
    read(file, monkeypatch, parsed=True)


def test_a_home_that_cannot_be_written_costs_time_only(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file.parents[1] / "cache").write_text("a file in the way")
    assert read(file, monkeypatch, parsed=True).data == read(file, monkeypatch, parsed=True).data


def test_a_user_without_a_home_has_no_cache(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(variables.XDG_CACHE_HOME.name)
    monkeypatch.setattr(Path, "home", fail)
    assert kept.locate_folder() is None
    read(file, monkeypatch, parsed=True)
    read(file, monkeypatch, parsed=True)


def test_another_parser_uses_no_entry_of_this_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(file, monkeypatch, parsed=True)
    monkeypatch.setattr(kept, "_digest_parser", lambda: b"another")
    read(file, monkeypatch, parsed=True)
    assert len(list_entries(file)) == 2


def test_the_parser_is_this_projects_code_and_the_librarys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = kept._digest_parser.__wrapped__()
    for name in kept.PARSER:
        (tmp_path / name).write_bytes(Path(kept.__file__).with_name(name).read_bytes())
    monkeypatch.setattr(kept, "__file__", str(tmp_path / "kept.py"))
    assert kept._digest_parser.__wrapped__() == before
    (tmp_path / "compose.py").write_text("# another\n")
    assert kept._digest_parser.__wrapped__() != before
    monkeypatch.undo()
    monkeypatch.setattr("importlib.machinery.PathFinder.find_spec", lambda name: None)
    assert kept._digest_parser.__wrapped__() != before


def test_too_many_entries_lose_the_older_half(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = file.parents[1] / "cache/glm-matrix/yaml"
    folder.mkdir(parents=True)
    for number in range(12):
        (folder / f"{number:02}.json").touch()
        os.utime(folder / f"{number:02}.json", (number, number))
    monkeypatch.setattr(kept, "MOST_KEPT", 10)
    read(file, monkeypatch, parsed=True)
    assert [path.name for path in list_entries(file)][:5] == [f"{n:02}.json" for n in range(7, 12)]
    assert len(list_entries(file)) == 6


def test_locations_come_in_the_order_of_the_file() -> None:
    doc = yamltext.parse_text(TEXT, "x.yaml")
    assert list(iterate_locations(doc.data)) == list(doc.lines)
