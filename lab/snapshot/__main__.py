"""Read an engine release out of its wheel and write its snapshot as JSON (`glm-matrix snapshot NAME==VERSION`).

Flags, environment variables, architectures, config keys, pins, the backends that it chooses by itself, and the kernels
of its wheel and of the packages that it pins. Then it prints what changed since the release before. `--kernels` reads
the GPU code of one package alone; `--newest ENGINE...` adds every release that the index has and that is not here.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab.snapshot.kernels import kernels_of
from lab.snapshot.release import (
    add_release,
    axes_yaml,
    newer_versions,
    read_release,
    read_texts_again,
    release_before,
)
from lab.snapshot.wheel import download_wheel
from matrix.checkout import CHECKOUT
from matrix.errors import MatrixError
from matrix.output.command_line import CommandLine
from matrix.preflight import kernels
from matrix.preflight.changes import list_changes
from matrix.preflight.guards import read_guards
from matrix.preflight.kernels import KERNELS, KernelWheel
from matrix.preflight.snapshot import SNAPSHOTS, Snapshot, format_snapshot, release_id

AXES = CHECKOUT / "matrix" / "axes" / "engines"


def make_parser() -> argparse.ArgumentParser:
    own = CommandLine(
        prog="glm-matrix snapshot", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own.add_argument(
        "release", metavar="NAME==VERSION", nargs="*", help="e.g. sglang==0.5.23; an engine's name with --newest"
    )
    own.add_argument("--kernels", action="store_true", help="only the GPU code of its libraries")
    own.add_argument(
        "--texts", action="store_true", help="only what its texts say: probes of facts.yaml, and its guards"
    )
    own.add_argument("--newest", action="store_true", help="the names are engines: add what the index has newer")
    own.add_argument("--axes", action="store_true", help="write the release's file under matrix/axes/engines/ too")
    own.add_argument("--out", type=Path, help="file to write the whole snapshot to (default: the committed form)")
    own.add_argument("--wheel", type=Path, help="read this wheel, or this checkout of TensorRT-LLM, instead")
    own.add_argument("--origin", default="", help="where the file or folder of --wheel is from; stands in the snapshot")
    return own


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when written, 2 when the index, the wheel or the request is not usable."""
    options = make_parser().parse_args(arguments)
    if not options.release:
        make_parser().error("expected NAME==VERSION, or --newest and engines")
    # a version with --newest, or an engine without it, would be asked of the index as a package of that name
    wrong = [text for text in options.release if ("==" in text) is options.newest]
    if wrong:
        make_parser().error(f"expected {'ENGINE' if options.newest else 'NAME==VERSION'}, got {wrong[0]!r}")
    try:
        # oldest first: each release is then held against the one before it, which has just been read
        asked = [f"{e}=={v}" for e in options.release for v in newer_versions(e)] if options.newest else options.release
        for requirement in asked:
            print(_write_one(requirement, options))
    except MatrixError as error:
        print(error, file=sys.stderr)
        return 2
    if not asked:
        print(f"nothing newer than the snapshots of {', '.join(options.release)}")
    return 0


def _write_one(requirement: str, options: argparse.Namespace) -> str:
    """Read one release or package and write its file; return a line with the findings and the path."""
    name, _, version = requirement.partition("==")
    start = time.monotonic()
    if options.kernels:
        found = kernel_wheel(requirement, options.wheel)
        out = options.out or KERNELS / f"{release_id(name, version)}.json"
        out.write_text(kernels.format_wheel(found), encoding="utf-8")
        return f"{_show_path(out)}: {_summarise_kernels(found)}, {time.monotonic() - start:.1f} s"
    if options.texts:
        # facts.yaml grew a probe: flags and pins of the release stay as they were read, and so does their diff
        again = read_texts_again(name, version, options.wheel)
        held = read_guards(name).held_by(version) or ()
        return f"{again.release}: {len(again.probes)} probes, {len(held)} guards, {time.monotonic() - start:.1f} s"
    if options.out:
        snapshot = read_release(name, version, options.wheel)
        options.out.write_text(format_snapshot(snapshot), encoding="utf-8")
    else:
        snapshot = add_release(name, version, options.wheel, options.origin)
    out = options.out or SNAPSHOTS / f"{snapshot.release}.json"
    lines = [
        f"{_show_path(out)}: {_summarise_snapshot(snapshot)}, {time.monotonic() - start:.1f} s",
        *_changed(snapshot),
    ]
    return "\n".join([*lines, *([_axes(snapshot)] if options.axes else [])])


def kernel_wheel(requirement: str, wheel: Path | None = None) -> KernelWheel:
    """Return the GPU code of the given wheel, or of one that is downloaded and deleted afterwards."""
    if wheel is not None:
        return kernels_of(wheel)
    with download_wheel(requirement) as path:
        return kernels_of(path)


def _show_path(path: Path) -> Path:
    return path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else path


def _summarise_snapshot(snapshot: Snapshot) -> str:
    unknown = sum(flag.choices_unknown for flag in snapshot.flags)
    unread = "".join(f"\n  unread {', '.join(parts)}: {why}" for why, parts in snapshot.unread_by_reason.items())
    return (
        f"{len(snapshot.flags)} flags ({unknown} with choices that cannot be read statically), "
        f"{len(snapshot.env)} environment variables, {len(snapshot.architectures)} architectures, "
        f"{len(snapshot.requires)} pins{unread}"
    )


def _changed(snapshot: Snapshot) -> list[str]:
    before = release_before(snapshot)
    if before is None:
        return []
    return [f"since {before.version}:", *(f"  {change}" for change in list_changes(before, snapshot))]


def _axes(snapshot: Snapshot) -> str:
    path = AXES / snapshot.engine / f"{snapshot.release}.yaml"
    if path.exists():
        return f"{_show_path(path)} is there already"
    path.write_text(axes_yaml(snapshot), encoding="utf-8")
    return f"{_show_path(path)}: written; look at features and formats, then glm-matrix lint"


def _summarise_kernels(found: KernelWheel) -> str:
    lines = [f"  {path}: {library}" for path, library in found.libraries.items()]
    lines += [f"  sources for {sm}: {len(names)}" for sm, names in found.sources.items()]
    lines += [f"  cubins for {sm}: {count}" for sm, count in found.cubins.items()]
    return "\n".join([f"{len(found.libraries)} libraries with CUDA code", *lines, found.wheel])


if __name__ == "__main__":
    sys.exit(main())
