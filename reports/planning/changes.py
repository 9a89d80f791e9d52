"""Which cells a change is about: those that are launched, described or asked otherwise than at an earlier commit.

The matrix of the earlier commit is loaded beside today's, and each cell's facts and launch script are compared: a
reordered file changes nothing, and a rule changes exactly the cells that it lets in. What is Python is judged by its
file.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError, HostError, Problem
from matrix.model import Cell
from matrix.output import script as shell
from matrix.output.table import facts_as_json
from matrix.planning.expand import expand_matrix, find_cell
from matrix.planning.plan import make_plan
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix
from reports.evidence.source_state import ask_git

PATCHES: Final = "matrix/patches/"
ASKED: Final = ("suites/", "fixtures/banks/", "fixtures/client/", "fixtures/traffic/", "matrix/owed.json")
LAUNCHED: Final = (
    "fixtures/launch/",
    "fixtures/session/",
    "fixtures/weights/",
    "fixtures/canary/",
    "fixtures/llamacpp/",
    "matrix/planning/",
)
BIGGEST_BYTES: Final = 512 << 20  # of an unpacked matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The cells that a change touches, each with why."""

    why: Mapping[str, str]  # cell id -> reason
    files: tuple[str, ...]

    def keep_changed(self, cells: Sequence[Cell]) -> list[Cell]:
        return [c for c in cells if c.id in self.why]


def find_changed(matrix: Matrix, cells: Sequence[Cell], revision: str, root: Path = CHECKOUT) -> Changed:
    """Compare the cells with those of the revision; files that differ from HEAD count as well.

    Raises:
        ConfigError: git does not know the revision. HostError: this is no clone, or git does not answer.
    """
    files = list_changed_files(revision, root)
    # Code is not compared cell by cell: what a changed function does to one of them only a run could tell.
    everything = _explain_code(files)
    if everything:
        return Changed(why=dict.fromkeys((c.id for c in cells), everything), files=files)
    if not any(f.startswith("matrix/") and not f.endswith(".py") for f in files):
        return Changed(why={}, files=files)
    with tempfile.TemporaryDirectory() as folder:
        try:
            before = load_matrix(_unpack_matrix(revision, root, Path(folder)))
        # Today's code may not read yesterday's YAML. Then nothing is known to be unchanged, and everything is asked.
        except ConfigError as error:
            said = f"the matrix of {revision} is no matrix to today's code: {error.problems[0]}"
            return Changed(why=dict.fromkeys((c.id for c in cells), said), files=files)
        return Changed(why=compare_cells(before, matrix, cells, files), files=files)


def compare_cells(before: Matrix, matrix: Matrix, cells: Sequence[Cell], files: Sequence[str] = ()) -> dict[str, str]:
    """Return the cells that the two matrices see differently, with why."""
    rigs = {c.rig.id for c in cells}  # the cells of others need not be made
    old = replace(before, rigs={i: r for i, r in before.rigs.items() if i in rigs})
    runnable = {c.id: c for c in expand_matrix(old).runnable}
    patched = {f.removeprefix(PATCHES).partition("/")[0] for f in files if f.startswith(PATCHES)}
    found = {c.id: _explain_cell(old, runnable.get(c.id), matrix, c, patched) for c in cells}
    return {cell: why for cell, why in found.items() if why}


def _explain_cell(before: Matrix, was: Cell | None, matrix: Matrix, cell: Cell, patched: set[str]) -> str:
    if was is None:
        return "it was excluded" if find_cell(before, cell.id) else "it is new"
    # What weighs most is told first: another launch costs a load, another fact may only change what is asked.
    now, then = make_plan(matrix, cell), make_plan(before, was)
    if now.fingerprint != then.fingerprint:
        return "its launch changed"
    if shell.render_script(now) != shell.render_script(then):
        return "its launch script changed"
    facts, old = facts_as_json(cell), facts_as_json(was)
    if names := sorted(k for k in {*facts, *old} if facts.get(k) != old.get(k)):
        return f"its facts changed: {', '.join(names)}"
    if json.dumps(now.settings, sort_keys=True, default=str) != json.dumps(then.settings, sort_keys=True, default=str):
        return "what the suites are told of it changed"
    if touched := sorted(patched & set(now.patch_names)):
        return f"its patch changed: {', '.join(touched)}"
    return ""


def _explain_code(files: Sequence[str]) -> str:
    """Return why every cell is touched; empty where only data of the matrix, documents and tests changed."""
    for about, places in (("asked", ASKED), ("launched", LAUNCHED)):
        if hit := [f for f in files if f.startswith(places)]:
            more = f" and {len(hit) - 1} more" if len(hit) > 1 else ""
            return f"how cells are {about} changed: {hit[0]}{more}"
    return ""


def list_changed_files(revision: str, root: Path = CHECKOUT) -> tuple[str, ...]:
    """List the files that differ from the revision, uncommitted and unknown ones included.

    Raises:
        ConfigError: git does not know the revision. HostError: git does not answer.
    """
    _require_revision(revision, root)
    # Against the files as they lie here, not against HEAD: a plan is also made before a commit.
    changed = ask_git(root, "diff", "--name-only", "-z", "--no-ext-diff", revision, "--")
    unknown = ask_git(root, "ls-files", "--others", "--exclude-standard", "-z")
    return tuple(sorted({f.decode("utf-8", "replace") for f in (changed + unknown).split(b"\0") if f}))


def _require_revision(revision: str, root: Path) -> None:
    if not revision or revision.startswith("-"):  # git would take it for an option
        raise ConfigError([Problem("--changed-since", 0, repr(revision), "expected a commit, tag or branch")])
    try:
        ask_git(root, "rev-parse", "--git-dir")
    except OSError as error:
        raise HostError(f"--changed-since needs a git clone, and {root} is none (or git is not here)") from error
    try:
        ask_git(root, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    except OSError as error:
        said = "git knows no such commit, tag or branch (a shallow clone has few: git fetch --unshallow)"
        raise ConfigError([Problem("--changed-since", 0, repr(revision), said)]) from error


def _unpack_matrix(revision: str, root: Path, folder: Path) -> Path:
    """Unpack the matrix of the revision; return its root."""
    listed = ask_git(root, "ls-tree", "-r", "-z", "--name-only", revision, "matrix/").decode().split("\0")
    names = [n for n in listed if n and not n.endswith(".py")]  # data alone: no code of another commit is ever run
    packed = ask_git(root, "archive", "--format=tar", revision, "--", *names)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        if sum(m.size for m in tar.getmembers()) > BIGGEST_BYTES:
            raise HostError(f"the matrix of {revision} is larger than {BIGGEST_BYTES >> 20} MiB")
        tar.extractall(folder, filter="data")  # a branch may be a stranger's: no link leads out of the folder
    return folder / "matrix"
