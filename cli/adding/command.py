"""Write an entry of the axes, a patch, a known failure, a claim or a rig's first gate from flags, and check it."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from cli.adding import policy
from cli.adding import rig as rigs
from cli.adding.kinds import KINDS, EntryKind, add_flags, read_entry
from cli.adding.write import change_file, dump_entry, dump_item, write_new
from fixtures.weights import add as checkpoints
from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError, HostError, Problem, suggest_nearest
from matrix.model import Release
from matrix.registered import registered_by
from matrix.yaml.load import load_matrix, read_matrix
from matrix.yaml.loaded import Matrix

ROOT: Final = CHECKOUT / "matrix"
LIKE: Final = ("architectures", "remaps", "features", "formats", "dsa_sms")  # what --like copies into a release
NEXT: Final = {
    "rig": "python -m ci.workflows and python -m ci.reference; then glm-matrix recommend --rig {id}",
    "release": "glm-matrix snapshot {requirement}, glm-matrix venv lock {id}, glm-matrix upgrade",
    "patch": "name it in a recipe: patches: [{id}]",
    "known-failure": "glm-matrix why {id}",
    "claim": "python -m ci.reference",
}


def make_parser() -> argparse.ArgumentParser:
    # `add checkpoint` is older and lives below us: its tree of verbs is grown here, so that one --help lists all
    top = checkpoints.make_parser()
    top.description = __doc__
    verbs = next(a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    rig = verbs.add_parser("rig", help="another count of a GPU that is on the axes")
    rig.add_argument("--gpu", required=True, metavar="ID", help="id of a file in matrix/axes/hardware")
    rig.add_argument("--count", required=True, type=int, metavar="N", help="GPUs on one host")
    rig.add_argument("--id", help="id of the rig (default: like its siblings, e.g. sm120x2)")
    for name, kind in KINDS.items():
        own = verbs.add_parser(name, help=kind.help)
        add_flags(own, kind)
        if name == "release":
            own.add_argument("--like", metavar="RELEASE", help="copy features, formats and kernels from this release")
    policy.add_options(verbs.add_parser("policy", help="the first gate of a rig, cut to one night"))
    for name in ("rig", *KINDS):
        own = verbs.choices[name]
        own.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="folder of the matrix (default: ours)")
        own.add_argument("--dry-run", action="store_true", help="print what would be written, and write nothing")
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Exit codes: 0 written, 2 refused and taken back; `add checkpoint`: also 1 and 3, see its page."""
    given = list(sys.argv[1:] if words is None else words)
    # its exit codes tell of a faulty checkpoint, which ours cannot
    if given[:1] == ["checkpoint"]:
        return checkpoints.main(given)
    options = make_parser().parse_args(given)
    try:
        if options.kind == "policy":
            sys.stdout.write(f"{policy.add_policy(options)}\n")
            return 0
        wrote, told = _add_rig(options) if options.kind == "rig" else _add_entry(options.kind, options)
    except (ConfigError, HostError) as error:
        sys.stderr.write(f"{error}\n{_name_options(error, options.kind)}")
        return 2
    sys.stdout.write(f"{wrote}\n")
    if not options.dry_run:
        sys.stdout.write(f"next: {NEXT[options.kind].format(**told)}\n")
    return 0


def _name_options(error: Exception, kind: str) -> str:
    """Name the options for keys that are missing: the file and line of the message are of an entry that is nowhere."""
    lost = [p.message for p in getattr(error, "problems", ()) if p.message.startswith("missing key")]
    keys = dict.fromkeys(key for message in lost for key in re.findall(r"'(\w+)'", message))
    named = " ".join(f"--{key.replace('_', '-')}" for key in keys)
    return f"give {named}; glm-matrix add {kind} --help says what each takes\n" if keys else ""


def _add_rig(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    matrix = load_matrix(options.root)
    rig = rigs.name_rig(matrix, options.gpu, options.count, options.id)
    path, runners = rigs.file_of(options.root, options.gpu), options.root.parent / "ci" / "runners.yaml"
    if options.dry_run:
        return f"{path.name}: rigs: {rig}: {options.count}", {"id": rig}
    change_file(path, lambda text: rigs.insert_rig(text, rig, options.count), lambda: _lint_tree(options.root))
    if runners.is_file():
        # unchecked: the matrix has just been linted, and lint does not read the runners
        change_file(runners, lambda text: rigs.insert_runner(text, rig), lambda: None)
    return f"wrote {rig} into {_show_path(path)}", {"id": rig}


def _add_entry(name: str, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    kind = KINDS[name]
    entry = read_entry(kind, options)
    if name == "release":
        entry = _complete_release(entry, options)
    named = str(entry.get("id") or options.id or "")
    if not named:
        raise ConfigError([Problem("--id", 0, "", f"expected the id of the {name}")])
    path = options.root / kind.place.format(id=named, engine=getattr(options, "engine", ""))
    # --id is typed: ../ in it would write outside the matrix; both forms of the root, since it may be a link
    if options.root not in path.resolve().parents and options.root.resolve() not in path.resolve().parents:
        raise ConfigError([Problem("--id", 0, repr(named), "expected small letters, digits and _")])
    text = dump_item(entry) if kind.entries else dump_entry(entry)
    if not options.dry_run:
        _write_entry(kind, path, text, lambda: _lint_tree(options.root, patch=named if name == "patch" else ""))
    told = {"id": named, "requirement": entry.get("requirement", "")}
    return (text.rstrip() if options.dry_run else f"wrote {named} into {_show_path(path)}"), told


def _write_entry(kind: EntryKind, path: Path, text: str, check: Callable[[], None]) -> None:
    if kind.entries:
        change_file(path, lambda old: _append(old, kind.entries, text), check)
    else:
        write_new(path, text, check)


def _append(old: str, key: str, item: str) -> str:
    """Append an entry to a list that is a file's last key; an empty list (`key: []`) becomes one of this entry."""
    body = old.rstrip()
    empty = f"{key}: []"
    return f"{body.removesuffix(empty)}{key}:\n{item}" if body.endswith(empty) else f"{body}\n{item}"


def _complete_release(entry: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Fill in what follows from engine and version, and copy from `--like` what is not given.

    Raises:
        ConfigError: no such engine, no such release to copy, or no version.
    """
    matrix = load_matrix(options.root)
    if options.engine not in matrix.engines:
        hint = suggest_nearest(str(options.engine or ""), matrix.engines)
        raise ConfigError([Problem("--engine", 0, "", f"expected an engine, got {options.engine!r}{hint}")])
    if not options.version:
        raise ConfigError([Problem("--version", 0, "", "expected a version like 0.34.0")])
    model = _find_like(matrix, options.like)
    copied = _copy_release(matrix, model, options.root) if model else {}
    title = f"{matrix.engines[options.engine].title} {options.version}"
    return {
        "id": f"{options.engine}_{options.version}".replace(".", "_").replace("-", "_").lower(),
        "version": options.version,
        "title": title,
        "requirement": f"{options.engine}=={options.version}",
        # the flags come last: what is typed wins over what is copied
        **_as_plain(copied),
        **entry,
    }


def _copy_release(matrix: Matrix, model: Release, root: Path) -> dict[str, Any]:
    """Copy what a release can do. Its classes may stand in its snapshot alone, which the new one does not have yet."""
    copied = {key: value for key in LIKE if (value := getattr(model, key, None))}
    if not model.architectures and (read := registered_by(model.id, root / "snapshots")):
        # a snapshot registers hundreds of classes; the entry names those that a checkpoint here can have
        wanted = {*(c.architecture for c in matrix.checkpoints.values()), *model.remaps.values()}
        copied = {"architectures": tuple(sorted(read.architectures & wanted)), **copied}
    return copied


def _find_like(matrix: Matrix, like: str | None) -> Release | None:
    if like is None:
        return None
    if like not in matrix.releases:
        raise ConfigError([Problem("--like", 0, "", f"no release {like!r}{suggest_nearest(like, matrix.releases)}")])
    return matrix.releases[like]


def _as_plain(value: Any) -> Any:
    """Tuples as lists: YAML knows no tuple."""
    if isinstance(value, dict):
        return {key: _as_plain(inner) for key, inner in value.items()}
    return [_as_plain(inner) for inner in value] if isinstance(value, tuple) else value


def _lint_tree(root: Path, *, patch: str = "") -> None:
    """Read and plan everything anew; with our own root, everything that `glm-matrix lint` looks at.

    Raises:
        ConfigError: everything that is wrong.
    """
    matrix = read_matrix(root)
    if patch:
        from matrix.preflight.patch import load_patch

        # past the cache, which may hold the patch of this id as it was before
        load_patch.__wrapped__(patch, root / "patches")
    if root == ROOT:
        from contextlib import redirect_stderr, redirect_stdout
        from io import StringIO

        from matrix.__main__ import lint_matrix

        # lint prints what it planned; what is wrong comes as an error, and only that is told
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            lint_matrix(matrix, argparse.Namespace())


def _show_path(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix() if path.is_relative_to(CHECKOUT) else str(path)
