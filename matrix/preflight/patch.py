"""Patches as data: one folder under matrix/patches/, applied by `fixtures.weights.patching` to a copy, never in place.

A source patch names one file of one wheel by sha256 and changes whole lines of it; only the line it stands on is
quoted. A JSON patch merges keys into a checkpoint's JSON files. Both say when they apply, why, and what retires them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from matrix.checkout import CHECKOUT, name_in_checkout
from matrix.condition import compile_condition, find_condition_problems
from matrix.errors import ConfigError, HostError, Problem, suggest_nearest
from matrix.yaml.structure import require_record

PATCHES = CHECKOUT / "matrix" / "patches"
DENSE = "sglang_nsa_exclusion"  # patches of this name take sparse attention out


class PatchRefused(HostError):
    """The file is not the one the patch was made for: this host has another release than the plan's."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Line `line` (1-based) must read `find`; it is replaced by `replace`, which may repeat, drop or extend it."""

    line: int
    find: str
    replace: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Target:
    """The one file a source patch changes, by path inside site-packages."""

    package: str
    file: str
    sha256_before: str
    sha256_after: str


@dataclass(frozen=True, kw_only=True)
class PatchCase:
    """What the patched function must answer for one configuration."""

    says: str
    config: Mapping[str, Any]
    expect: bool


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Keys merged into one JSON file, keys renamed, and what the file must already say."""

    set: Mapping[str, Any] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    expects: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Verify:
    """The function that shows the effect, and what it must answer."""

    function: str = ""
    cases: tuple[PatchCase, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PatchFile:
    """patch.yaml, key by key as `Patch` explains them."""

    title: str  # what it changes, in a line
    applies_when: Mapping[str, Any]  # the cells that get it, e.g. engine=sglang version="<0.5.17" sm=120
    why: str  # what goes wrong without it
    source: str  # where it was found or made
    upstream: str  # the address of the issue or pull request, or why there is none
    retires: str  # the condition under which nobody needs it any more
    fact: str = ""  # of matrix/facts.yaml: the releases of `applies_when` are those in which it holds
    incomplete: str = ""  # what it is known not to cover
    target: Target | None = None  # the file of the wheel, with its digests
    edit: Edit | None = None  # one line of the target, and what replaces it
    verify: Verify = field(default_factory=Verify)  # the function that is called to see the effect
    merges: Mapping[str, Merge] = field(default_factory=dict)  # JSON files, and what is merged into them


@dataclass(frozen=True, kw_only=True)
class Patch:
    """One patch. Exactly one of `edit` and `merges` is set."""

    id: str
    title: str
    applies_when: Mapping[str, Any]
    why: str
    source: str
    upstream: str
    retires: str  # the condition under which nobody needs it any more
    fact: str = ""  # of matrix/facts.yaml: the releases of `applies_when` are those in which it holds
    incomplete: str = ""  # what it is known not to cover
    target: Target | None = None
    edit: Edit | None = None
    function: str = ""  # what verification calls
    cases: tuple[PatchCase, ...] = ()
    merges: Mapping[str, Merge] = field(default_factory=dict)

    def applies(self, facts: Mapping[str, Any]) -> bool:
        """Whether a cell (`Cell.facts`) is one the patch is for."""
        return compile_condition(self.applies_when)(facts)


@cache
def load_patch(name: str, folder: Path = PATCHES) -> Patch:
    """One patch by its folder name.

    Raises:
        ConfigError: no such folder, or every problem of its patch.yaml with its line.
    """
    path = folder / name / "patch.yaml"
    if not path.exists():
        known = sorted(p.parent.name for p in folder.glob("*/patch.yaml"))
        raise ConfigError([Problem(str(path), 0, "", f"no such patch{suggest_nearest(name, known)}")])
    return _make_patch(name, path, require_record(PatchFile, path))


def read_patches(folder: Path = PATCHES) -> dict[str, Patch]:
    """Every patch by its folder's name.

    Raises:
        ConfigError: one of them does not describe a patch.
    """
    return {path.parent.name: load_patch(path.parent.name, folder) for path in sorted(folder.glob("*/patch.yaml"))}


def apply_edit(patch: Patch, text: bytes) -> bytes:
    """Patch the file. Text that is already patched is returned unchanged.

    Raises:
        PatchRefused: the text is neither the file the patch was made for nor that file patched.
    """
    assert patch.target is not None
    assert patch.edit is not None
    # a launch that is repeated meets its own patched copy
    if digest_text(text) == patch.target.sha256_after:
        return text
    _require_digest(patch, text, patch.target.sha256_before)
    lines = text.decode("utf-8").splitlines(keepends=True)
    at = patch.edit.line - 1
    # the digest has settled it: a mismatch here is an error of patch.yaml, found before anything is written
    if at >= len(lines) or lines[at].rstrip("\n") != patch.edit.find:
        raise PatchRefused(f"{patch.id}: line {patch.edit.line} of {patch.target.file} is not {patch.edit.find!r}")
    lines[at : at + 1] = [line + "\n" for line in patch.edit.replace]
    return _check_text(patch, "".join(lines).encode("utf-8"), patch.target.sha256_after)


def revert_edit(patch: Patch, text: bytes) -> bytes:
    """Restore the original. Text that is already original is returned unchanged.

    Raises:
        PatchRefused: the text is neither of the two.
    """
    assert patch.target is not None
    assert patch.edit is not None
    if digest_text(text) == patch.target.sha256_before:
        return text
    _require_digest(patch, text, patch.target.sha256_after)
    lines = text.decode("utf-8").splitlines(keepends=True)
    at = patch.edit.line - 1
    lines[at : at + len(patch.edit.replace)] = [patch.edit.find + "\n"]
    return _check_text(patch, "".join(lines).encode("utf-8"), patch.target.sha256_before)


def apply_merge(patch: Patch, name: str, before: Mapping[str, Any]) -> dict[str, Any]:
    """One JSON file with the patch merged in; merging twice changes nothing.

    Raises:
        PatchRefused: the file does not say what the patch expects of it.
    """
    merge = patch.merges[name]
    for key, value in merge.expects.items():
        # what it was, or what the patch makes of it: so that merging twice changes nothing
        if before.get(key) not in (value, merge.set.get(key)):
            raise PatchRefused(f"{patch.id}: {name} has {key} = {before.get(key)!r}, expected {value!r}")
    renamed = {merge.rename.get(key, key): value for key, value in before.items()}
    return {**renamed, **merge.set}


def digest_text(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _require_digest(patch: Patch, text: bytes, wanted: str) -> None:
    found = digest_text(text)
    if found != wanted:
        assert patch.target is not None
        raise PatchRefused(
            f"{patch.id} is for {patch.target.file} with sha256 {wanted}, this file has {found}.\n"
            f"It applies when {dict(patch.applies_when)}; another release needs another patch, or none: {patch.retires}"
        )


def _check_text(patch: Patch, text: bytes, wanted: str) -> bytes:
    if digest_text(text) != wanted:
        raise PatchRefused(f"{patch.id}: the result has sha256 {digest_text(text)}, patch.yaml says {wanted}")
    return text


def _make_patch(name: str, path: Path, read: PatchFile) -> Patch:
    if (read.edit is None) == (not read.merges) or (read.edit is None) != (read.target is None):
        message = "expected exactly one of `edit` (with its `target`) and `merges`"
        raise ConfigError([Problem(name_in_checkout(path), 1, "", message)])
    if wrong := find_condition_problems(read.applies_when, {}):
        raise ConfigError([Problem(name_in_checkout(path), 0, f"applies_when.{key}", said) for key, said in wrong])
    parts = {f.name: getattr(read, f.name) for f in fields(read) if f.name != "verify"}
    return Patch(id=name, function=read.verify.function, cases=read.verify.cases, **parts)


def takes_sparse_out(patch_names: Sequence[str]) -> bool:
    """Whether a launch's patches make attention dense."""
    return any(name.startswith(DENSE) for name in patch_names)
