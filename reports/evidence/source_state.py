"""Identifies the source: the commit, and whether files differ from it. Unknown is reported as unknown.

A file that git does not know counts as a difference, unless an ignore file names it: a stray test or axis changes a
run.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ASK_S: Final = 60.0  # a checkout with a broken disk must not hold a run up
SHOWN: Final = 12  # digits of a commit or digest
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
    try:
        if Path(os.fsdecode(ask_git(root, "rev-parse", "--show-toplevel").rstrip(b"\n"))).resolve() != root.resolve():
            return SourceState()
        commit = ask_git(root, "rev-parse", "--verify", "HEAD").decode("ascii", "replace").strip()
    except OSError:
        return SourceState()
    try:
        differs = _hash_differences(root, written)
    except OSError:
        return SourceState(commit=commit)
    return SourceState(commit=commit, dirty=bool(differs), diff_sha256=differs)


def _hash_differences(root: Path, written: Collection[Path]) -> str:
    """Compute the sha256 of everything that differs from HEAD; empty where nothing does."""
    own = tuple(f"{path.absolute()}{os.sep if path.is_dir() else ''}" for path in written)
    diff = ask_git(root, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv", "--no-color")
    unknown = sorted(filter(None, ask_git(root, "ls-files", "--others", "--exclude-standard", "-z").split(b"\0")))
    unknown = [name for name in unknown if not str(root.absolute() / os.fsdecode(name)).startswith(own)]
    if not diff and not unknown:
        return ""
    whole = hashlib.sha256(diff)
    for name in unknown:
        whole.update(b"\0" + name + b"\0")
        _add_file(whole, root / os.fsdecode(name))
    return whole.hexdigest()


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
    trusted = ("-c", f"safe.directory={root.resolve()}", "-c", "core.fsmonitor=false")
    command = ["git", "--no-optional-locks", *trusted, "-C", str(root), *words]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=ASK_S, env=environment)
    except (OSError, subprocess.SubprocessError) as error:
        raise GitUnanswered from error
    return done.stdout
