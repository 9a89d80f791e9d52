"""Commit and differences, of real checkouts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.evidence.source_state import SourceState, read_commit_time, read_source_state


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


def _edit(clone: Path) -> None:
    (clone / "a.yaml").write_text("a: 2\n")


def _assume_unchanged(clone: Path) -> None:
    git(clone, "update-index", "--assume-unchanged", "a.yaml")
    _edit(clone)


def _skip_worktree(clone: Path) -> None:
    git(clone, "update-index", "--skip-worktree", "a.yaml")
    _edit(clone)


def _keep_the_time(clone: Path) -> None:
    """Write the same size at the same time; the index then has no reason to look."""
    git(clone, "config", "core.trustctime", "false")
    long_ago = 1_600_000_000
    os.utime(clone / "a.yaml", (long_ago, long_ago))
    git(clone, "status")  # the index takes the time down
    _edit(clone)
    os.utime(clone / "a.yaml", (long_ago, long_ago))


def _filter_it_away(clone: Path) -> None:
    (clone / ".git/info").mkdir(exist_ok=True)
    (clone / ".git/info/attributes").write_text("a.yaml filter=back\n")
    git(clone, "config", "filter.back.clean", "echo 'a: 1'")
    _edit(clone)


def _replace_the_commit(clone: Path) -> None:
    _edit(clone)
    git(clone, "commit", "-qam", "two")
    git(clone, "replace", "HEAD~1", "HEAD")
    git(clone, "reset", "-q", "--soft", "HEAD~1")
    git(clone, "read-tree", "HEAD")


def _exclude(clone: Path) -> None:
    (clone / ".git/info").mkdir(exist_ok=True)
    (clone / ".git/info/exclude").write_text("pytest.ini\n")
    (clone / "pytest.ini").write_text("[pytest]\naddopts = -k nothing\n")


def _exclude_for_all_clones(clone: Path) -> None:
    (clone.parent / "excluded").write_text("pytest.ini\n")
    git(clone, "config", "core.excludesFile", str(clone.parent / "excluded"))
    (clone / "pytest.ini").write_text("[pytest]\naddopts = -k nothing\n")


def _hide_a_folder_in_itself(clone: Path) -> None:
    (clone / "suites").mkdir()
    (clone / "suites/.gitignore").write_text("*\n")
    (clone / "suites/conftest.py").write_text("x")


HIDDEN = (
    _assume_unchanged,
    _skip_worktree,
    _keep_the_time,
    _filter_it_away,
    _replace_the_commit,
    _exclude,
    _exclude_for_all_clones,
    _hide_a_folder_in_itself,
)


@pytest.mark.parametrize("hide", HIDDEN, ids=lambda hide: str(hide.__name__))
def test_a_difference_that_git_was_told_to_overlook_is_one(clone: Path, hide: Callable[[Path], None]) -> None:
    hide(clone)
    done = subprocess.run(["git", "-C", str(clone), "status", "--porcelain"], capture_output=True, check=True)
    assert done.stdout == b"", "git itself calls it clean, or this shows nothing"
    found = read_source_state(clone)
    assert found.dirty and found.diff_sha256


def test_a_changed_mode_and_a_link_in_place_of_a_file_are_differences(clone: Path) -> None:
    git(clone, "config", "core.fileMode", "false")
    (clone / "a.yaml").chmod(0o755)
    assert read_source_state(clone).dirty
    (clone / "a.yaml").unlink()
    assert read_source_state(clone).dirty
    (clone / "a.yaml").symlink_to("b.yaml")
    assert read_source_state(clone).dirty


def test_a_commit_says_when_it_was_made(clone: Path, tmp_path: Path) -> None:
    git(clone, "commit", "--allow-empty", "-qm", "two", "--date", "2020-01-01T00:00:00Z")
    found = read_commit_time(clone)
    assert found is not None and found.year >= 2026, "when it was committed, and not what its author says"
    assert read_commit_time(tmp_path / "nowhere") is None
