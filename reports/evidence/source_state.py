"""Identifies the source: the commit, and whether files differ from it. Unknown is reported as unknown.

A file that git does not know counts as a difference, unless the checkout's own `.gitignore` names it: a stray test or
axis changes a run. Files are compared with the commit by their content. `git status` and `git diff` believe the index,
this clone's settings and its attributes, and each of them can call a changed file clean: assume-unchanged,
skip-worktree, a kept modification time, a filter, `info/exclude`, `core.excludesFile`, a replaced commit.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ASK_S: Final = 60.0  # a checkout with a broken disk must not hold a run up
SHOWN: Final = 12  # digits of a commit or digest
IGNORED: Final = ".gitignore"
LARGE_BYTES: Final = 1 << 20  # 2,400 files of at most so much take 0.1 s of CPU, all of them 0.5 s
WHOLE_BYTES: Final = 4 << 20  # a larger file that git does not know (weights, say) counts by its size and time


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """The state of a checkout. `dirty` None: unknown. `diff_sha256` identifies the differences of a dirty one."""

    commit: str = ""  # 40 hex digits; "": no git here, or this is no clone
    dirty: bool | None = None
    diff_sha256: str = ""

    def __str__(self) -> str:
        return "+".join(filter(None, (self.commit[:SHOWN] or "unknown", self.diff_sha256[:SHOWN])))


class GitUnanswered(OSError):
    """git is absent, or does not answer."""


def read_source_state(root: Path, written: Collection[Path] = ()) -> SourceState:
    """Read the state of a checkout from git; never raises. A checkout inside another repository has none.

    `written` are files that the run itself writes (evidence, JUnit): unless git knows them, they and what begins with
    their names are no difference.
    """
    if not (commit := read_commit(root)):
        return SourceState()
    try:
        differs = _hash_differences(root, written)
    except OSError:
        return SourceState(commit=commit)
    return SourceState(commit=commit, dirty=bool(differs), diff_sha256=differs)


def read_commit(root: Path) -> str:
    """Read the checkout's commit, for whoever need not know whether files differ from it: that compares all of them."""
    try:
        if Path(os.fsdecode(ask_git(root, "rev-parse", "--show-toplevel").rstrip(b"\n"))).resolve() != root.resolve():
            return ""
        return ask_git(root, "rev-parse", "--verify", "HEAD").decode("ascii", "replace").strip()
    except OSError:
        return ""


def read_commit_time(root: Path) -> datetime | None:
    """Read when the checkout's commit was made; None where git does not say."""
    try:
        return datetime.fromtimestamp(int(ask_git(root, "show", "-s", "--format=%ct", "HEAD")), UTC)
    except (OSError, ValueError, OverflowError):
        return None


def _hash_differences(root: Path, written: Collection[Path]) -> str:
    """Compute the sha256 of everything that differs from HEAD; empty where nothing does."""
    own = tuple(f"{path.absolute()}{os.sep if path.is_dir() else ''}" for path in written)
    changed = _list_changed(root)
    # The one ignore file, which is held against the commit like any other: a folder's own could hide itself.
    ignored = f"--exclude-from={root / IGNORED}"
    unknown = filter(None, ask_git(root, "ls-files", "--others", ignored, "-z").split(b"\0"))
    strange = (name for name in unknown if not str(root.absolute() / os.fsdecode(name)).startswith(own))
    differs = sorted({*changed, *strange})
    if not differs:
        return ""
    whole = hashlib.sha256()
    for name in differs:
        whole.update(b"\0" + name + b"\0")
        _add_file(whole, root / os.fsdecode(name))
    return whole.hexdigest()


def _list_changed(root: Path) -> list[bytes]:
    """List the files of the commit whose content, kind or mode is another one here.

    Of those above LARGE_BYTES git's own word is taken: weights and recorded runs, nine tenths of the bytes here, which
    have digests of their own.
    """
    entries = filter(None, ask_git(root, "ls-tree", "-r", "-l", "-z", "--full-tree", "HEAD").split(b"\0"))
    changed = [*filter(None, ask_git(root, "diff", "HEAD", "--name-only", "-z", "--no-ext-diff").split(b"\0"))]
    for entry in entries:
        about, _, name = entry.partition(b"\t")
        mode, kind, wanted, size = about.split()
        if kind != b"blob" or int(size) > LARGE_BYTES:
            continue
        if _identify_file(root / os.fsdecode(name)) != (mode, wanted):
            changed.append(name)
    return changed


def _identify_file(path: Path) -> tuple[bytes, bytes]:
    """Return a file's mode and blob id as git writes them; empty ones where there is none."""
    try:
        if path.is_symlink():
            return b"120000", _hash_blob(os.fsencode(path.readlink()))
        mode = b"100755" if path.stat().st_mode & stat.S_IXUSR else b"100644"
        return mode, _hash_blob(path.read_bytes())
    except OSError:
        return b"", b""


def _hash_blob(content: bytes) -> bytes:
    # SHA-1 is git's own name of the content here, and no signature.
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest().encode()


def _add_file(whole: hashlib._Hash, path: Path) -> None:
    if path.is_symlink() or not path.is_file():
        whole.update(os.fsencode(path.readlink()) if path.is_symlink() else b"no file")
    elif (found := path.stat()).st_size > WHOLE_BYTES:
        whole.update(f"{found.st_size} {found.st_mtime_ns}".encode())
    else:
        whole.update(path.read_bytes())


def ask_git(root: Path, *words: str) -> bytes:
    """Run git on this folder, whatever the environment sets (hooks set GIT_DIR).

    git answers nothing in another user's repository, whose settings it would follow. Whoever asks here runs that user's
    Python from the same folder, so the folder is trusted already.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment["GIT_NO_REPLACE_OBJECTS"] = "1"  # what a commit's id names, and not what somebody put in its place
    trusted = ("-c", f"safe.directory={root.resolve()}", "-c", "core.fsmonitor=false")
    command = ["git", "--no-optional-locks", *trusted, "-C", str(root), *words]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=ASK_S, env=environment)
    except (OSError, subprocess.SubprocessError) as error:
        raise GitUnanswered from error
    return done.stdout
