"""`python -m matrix snapshot NAME==VERSION`: read a wheel of the package index and write what it says, as JSON.

By default the flags, environment variables, architectures and pins of an engine's release; with --kernels the GPU
architectures that the wheel's compiled libraries carry code for (any package: vllm, sglang-kernel, ...).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab.snapshot.extract import extract, own_llamacpp
from lab.snapshot.kernels import kernels_of
from lab.snapshot.wheel import downloaded, read_wheel
from matrix.checkout import CHECKOUT
from matrix.errors import MatrixError
from matrix.preflight import kernels
from matrix.preflight.kernels import KERNELS, KernelWheel
from matrix.preflight.snapshot import SNAPSHOTS, Snapshot, dumps, release_id


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when written, 2 when the index, the wheel or the request is not usable."""
    parser = argparse.ArgumentParser(
        prog="python -m matrix snapshot", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("release", metavar="NAME==VERSION")
    parser.add_argument("--kernels", action="store_true", help="GPU code of its libraries instead of flags")
    parser.add_argument("--out", type=Path, help="file to write (default: the committed one)")
    parser.add_argument("--wheel", type=Path, help="read this wheel instead of downloading one")
    options = parser.parse_args(arguments)
    engine, separator, version = options.release.partition("==")
    if not separator:
        parser.error(f"expected NAME==VERSION, got {options.release!r}")
    out = options.out or (KERNELS if options.kernels else SNAPSHOTS) / f"{release_id(engine, version)}.json"
    start = time.monotonic()
    try:
        if options.kernels:
            found = kernel_wheel(options.release, options.wheel)
            text, said = kernels.dumps(found), _kernel_summary(found)
        else:
            snapshot = snapshot_of(engine, version, options.wheel)
            text, said = dumps(snapshot), _summary(snapshot)
    except MatrixError as error:
        print(error, file=sys.stderr)
        return 2
    out.write_text(text, encoding="utf-8")
    shown = out.relative_to(CHECKOUT) if out.is_relative_to(CHECKOUT) else out
    print(f"{shown}: {said}, {len(text.encode()) / 1000:.0f} kB, {time.monotonic() - start:.1f} s")
    return 0


def kernel_wheel(requirement: str, wheel: Path | None = None) -> KernelWheel:
    """The GPU code of the given wheel, or of one that is downloaded and deleted afterwards."""
    if wheel is not None:
        return kernels_of(wheel)
    with downloaded(requirement) as path:
        return kernels_of(path)


def snapshot_of(engine: str, version: str, wheel: Path | None = None) -> Snapshot:
    """Extract from the given wheel, or download one and delete it afterwards."""
    if engine == "llamacpp":
        return own_llamacpp(version)
    if wheel is not None:
        return extract(engine, version, read_wheel(wheel))
    with downloaded(f"{engine}=={version}") as path:
        return extract(engine, version, read_wheel(path))


def _summary(snapshot: Snapshot) -> str:
    unknown = sum(flag.choices_unknown for flag in snapshot.flags)
    return (
        f"{len(snapshot.flags)} flags ({unknown} with choices that cannot be read statically), "
        f"{len(snapshot.env)} environment variables, {len(snapshot.architectures)} architectures, "
        f"{len(snapshot.requires)} pins"
    )


def _kernel_summary(found: KernelWheel) -> str:
    lines = [f"  {path}: {library}" for path, library in found.libraries.items()]
    return "\n".join([f"{len(lines)} libraries with CUDA code", *lines, found.wheel])


if __name__ == "__main__":
    sys.exit(main())
