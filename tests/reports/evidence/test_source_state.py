"""Commit and differences, of real checkouts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from reports.evidence.source_state import SourceState, read_source_state


def git(root: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    root = tmp_path / "clone"
    root.mkdir()
    git(root, "init", "-q")
    (root / "a.yaml").write_text("a: 1\n")
    (root / ".gitignore").write_text("out/\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "one")
    return root


def test_a_clean_checkout_has_a_commit_and_no_difference(clone: Path) -> None:
    (clone / "out").mkdir()
    (clone / "out/evidence.jsonl").write_text("ignored")
    found = read_source_state(clone)
    assert (len(found.commit), found.dirty, found.diff_sha256) == (40, False, "")


def test_every_difference_has_a_digest_of_its_own(clone: Path) -> None:
    seen = {""}
    for name, text in (("a.yaml", "a: 2\n"), ("a.yaml", "a: 3\n"), ("test_new.py", "x"), ("test_new.py", "y")):
        (clone / name).write_text(text)
        found = read_source_state(clone)
        assert found.dirty and found.diff_sha256 not in seen
        seen.add(found.diff_sha256)
    assert read_source_state(clone) == found


def test_what_the_run_writes_itself_is_no_difference(clone: Path) -> None:
    written = [clone / "e.jsonl", clone / "a.yaml"]
    (clone / "e.jsonl").write_text("x")
    (clone / "e.jsonl.lock").write_text("")
    assert read_source_state(clone).dirty and not read_source_state(clone, written).dirty
    (clone / "a.yaml").write_text("a: 2\n")
    assert read_source_state(clone, written).dirty, "git knows that one"


def test_logs_are_no_difference_and_their_namesakes_are(clone: Path) -> None:
    (clone / "logs").mkdir()
    (clone / "logs/engine.log").write_text("x")
    assert not read_source_state(clone, [clone / "logs"]).dirty
    (clone / "logs_of_mine.py").write_text("x")
    assert read_source_state(clone, [clone / "logs"]).dirty


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a checkout to somebody else")
def test_another_users_checkout_has_a_commit_too(clone: Path) -> None:
    own = read_source_state(clone)
    for path in (clone, clone / ".git"):
        os.chown(path, 12_345, 12_345)
    assert read_source_state(clone) == own and own.commit


def test_what_is_staged_or_gone_is_a_difference(clone: Path) -> None:
    (clone / "a.yaml").write_text("a: 2\n")
    git(clone, "add", "-A")
    assert read_source_state(clone).dirty
    (clone / "a.yaml").unlink()
    assert read_source_state(clone).dirty


def test_a_link_to_nothing_is_a_difference_and_no_error(clone: Path) -> None:
    (clone / "link").symlink_to("/nowhere")
    assert read_source_state(clone).dirty


def test_without_git_nothing_is_known(tmp_path: Path, clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_source_state(tmp_path) == SourceState()
    assert read_source_state(tmp_path / "absent") == SourceState()
    monkeypatch.setenv("PATH", "")
    assert read_source_state(clone) == SourceState()


def test_a_copy_inside_another_repository_is_not_that_repository(clone: Path) -> None:
    (clone / "copy").mkdir()
    assert read_source_state(clone / "copy") == SourceState()


def test_the_environment_of_a_hook_changes_nothing(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_source_state(clone)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert read_source_state(clone) == before
