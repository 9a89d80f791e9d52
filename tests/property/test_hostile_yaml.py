"""Every reader of YAML that this project has: whatever stands in its file is one ConfigError that names the file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ci.reference import recall
from ci.runners import load_runners
from cli.codes.code import read_words
from fixtures.host.local_config import read_local
from matrix.checking import known_failures, model_config, rules, settings, sources
from matrix.errors import ConfigError
from matrix.facts.lint import _of_checks
from matrix.facts.model import load_facts
from matrix.preflight.patch import load_patch
from matrix.upgrading import defaults
from reports.gate.policy import load_policy
from suites.asking.depth import read_depths
from tests.matrix.yaml.hostile_files import HOSTILE

Patch = pytest.MonkeyPatch


def from_constant(module: Any, name: str, read: Callable[[], object]) -> Callable[[Path, Patch], object]:
    def ask(path: Path, patch: Patch) -> object:
        patch.setattr(module, name, path)
        return getattr(read, "__wrapped__", read)()

    return ask


READERS: dict[str, Callable[[Path, Patch], object]] = {
    "matrix.local.yaml": lambda path, _: read_local(path),
    "patch.yaml": lambda path, _: load_patch.__wrapped__(path.parent.name, path.parent.parent),
    "policy.yaml": lambda path, _: load_policy(path),
    "runners.yaml": lambda path, _: load_runners(["cpu"], path),
    "facts.yaml": lambda path, _: load_facts.__wrapped__(path),
    "depths.yaml": lambda path, _: read_depths(path),
    "words.yaml": lambda path, _: read_words(path),
    "of_facts.yaml": lambda path, _: list(_of_checks(path)),
    "checks.yaml": from_constant(rules, "CHECKS", rules.read_book),
    "settings.yaml": from_constant(settings, "SETTINGS", settings.read_kinds),
    "models.yaml": from_constant(model_config, "MODELS", model_config.read_models),
    "known_failures.yaml": from_constant(known_failures, "FILE", known_failures.read_entries),
    "reach.yaml": from_constant(defaults, "REACH", defaults.read_reach),
    "recall.yaml": from_constant(recall, "DATA", recall.read_rows),
}
CONTENT: dict[str, Callable[[Path], object]] = {
    "a list": lambda p: p.write_text("- a\n- b\n"),
    "a word": lambda p: p.write_text("hello\n"),
    "a strange key": lambda p: p.write_text("zzz: 1\n"),
    "a strange list": lambda p: p.write_text("checks: 1\nfacts: [1]\nrows: [{}]\nmodels: [1]\nknown_failures: [x]\n"),
    "broken": lambda p: p.write_text("a: [\n"),
    "a bomb": lambda p: p.write_bytes(HOSTILE["an alias bomb"][0]),
    "deep": lambda p: p.write_bytes(HOSTILE["dashes with two blanks"][0]),
    "no text": lambda p: p.write_bytes(b"\xff\xfea"),
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a link to itself": lambda p: p.symlink_to(p.name),
}


@pytest.mark.parametrize("content", CONTENT)
@pytest.mark.parametrize("name", READERS)
def test_every_reader_says_what_is_wrong_with_its_file(
    name: str, content: str, tmp_path: Path, monkeypatch: Patch
) -> None:
    CONTENT[content](tmp_path / name)
    with pytest.raises(ConfigError) as caught:
        READERS[name](tmp_path / name, monkeypatch)
    assert all(Path(p.file).name == name for p in caught.value.problems), caught.value
    assert len(caught.value.problems) <= 10, "one cause, and not everything that misses it"


@pytest.mark.parametrize("name", sorted(READERS.keys() - {"matrix.local.yaml", "words.yaml"}))
def test_an_empty_file_is_one_of_them(name: str, tmp_path: Path, monkeypatch: Patch) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        READERS[name](tmp_path / name, monkeypatch)


@pytest.mark.parametrize("what", HOSTILE)
def test_a_strangers_compose_file_is_read_or_refused_and_never_raises(what: str) -> None:
    text = HOSTILE[what][0].decode("utf-8", errors="replace")
    for wrapped in (text, f"services:\n  a:\n    image: vllm/vllm-openai\n    command: |\n      x\nb:\n{text}"):
        commands, problems = sources.read_text(wrapped, "compose.yaml")
        assert isinstance(commands, list) and all("compose.yaml" in str(p) for p in problems)
