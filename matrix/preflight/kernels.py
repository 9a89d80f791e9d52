"""Does a release's wheel carry code for this GPU at all? Known before a load, from the wheels' own fat binaries.

`glm-matrix snapshot --kernels NAME==VERSION` writes one file per wheel: which architectures each compiled library
has SASS (machine code) and PTX for. `compiled:` of engine.yaml says which backends live in which library. Kernels that
are compiled on the host (Triton, FlashInfer, DeepGEMM) are in no wheel, so silence here says nothing about them; which
GPUs their sources are written for stands in `sources`, as far as the files' own names say it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from matrix.engine_kernels import Compiled
from matrix.fat_binaries import Library
from matrix.preflight.snapshot import SNAPSHOTS, Snapshot, release_id

KERNELS = SNAPSHOTS / "kernels"


@dataclass(frozen=True, kw_only=True)
class KernelWheel:
    """The compiled libraries of one wheel that hold CUDA code, by their path in it."""

    wheel: str
    sha256: str
    libraries: Mapping[str, Library]
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # sm120 -> kernel sources named for it
    cubins: Mapping[str, int] = field(default_factory=dict)  # sm100f -> files of ready machine code


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A library without code for the GPU. `asked`: the backend that the launch names and that lives in it, or ""."""

    library: str
    what: str
    asked: str
    message: str


def find_gaps(
    snapshot: Snapshot,
    compiled: Sequence[Compiled],
    sm: int,
    named: Sequence[str],
    folder: Path = KERNELS,
    *,
    host: str = "x86_64",
) -> Iterator[Gap]:
    """Libraries of this release's wheels that have nothing for this GPU.

    `named` are the values of the launch's flags: a backend among them that lives in such a library cannot run.
    """
    for wheel in read_wheels(snapshot, folder, host):
        for path, library in wheel.libraries.items():
            for entry in compiled:
                # only libraries that engine.yaml names: what others hold is not known, and silence about them is honest
                if fnmatchcase(path, entry.library) and not library.runs_on(sm):
                    asked = next((word for word in named if word in entry.backends), "")
                    message = f"{path} ({entry.what}) has {library}, nothing that sm_{sm} can run [{wheel.wheel}]"
                    yield Gap(library=path, what=entry.what, asked=asked, message=message)


def read_wheels(snapshot: Snapshot, folder: Path = KERNELS, host: str = "x86_64") -> Iterator[KernelWheel]:
    """Read the release's own wheel and the exact pins of its dependencies, where their kernels are recorded.

    `host`: the CPU that they are built for; SGLang's kernels have code for SM121 on aarch64 alone.
    """
    suffix = "" if host == "x86_64" else f"_{host}"
    # exact pins alone: of a range nobody knows which wheel is installed
    pins = {name: spec.removeprefix("==") for name, spec in snapshot.pins.items() if spec.startswith("==")}
    for name, version in {snapshot.engine: snapshot.version, **pins}.items():
        if (found := wheel_for(release_id(name, version) + suffix, folder)) is not None:
            yield found


@cache
def wheel_for(stem: str, folder: Path = KERNELS) -> KernelWheel | None:
    path = folder / f"{stem}.json"
    return parse_wheel(path.read_text(encoding="utf-8")) if path.is_file() else None


def parse_wheel(text: str) -> KernelWheel:
    raw = json.loads(text)
    libraries = {
        path: Library(**{kind: tuple(names.split()) for kind, names in found.items()})
        for path, found in raw["libraries"].items()
    }
    sources = {sm: tuple(names.split()) for sm, names in raw.get("sources", {}).items()}
    cubins = raw.get("cubins", {})
    return KernelWheel(wheel=raw["wheel"], sha256=raw["sha256"], libraries=libraries, sources=sources, cubins=cubins)


def format_wheel(found: KernelWheel) -> str:
    """JSON with one library a line; the same wheel always gives the same bytes."""
    libraries = {
        path: {kind: " ".join(names) for kind in ("sass", "ptx") if (names := getattr(library, kind))}
        for path, library in sorted(found.libraries.items())
    }
    lines = ",\n".join(f"  {json.dumps(path)}: {json.dumps(kinds)}" for path, kinds in libraries.items())
    head = f' "wheel": {json.dumps(found.wheel)},\n "sha256": {json.dumps(found.sha256)},\n'
    named = {sm: " ".join(names) for sm, names in sorted(found.sources.items())}
    rest = "".join(
        f",\n {json.dumps(key)}: {json.dumps(value, indent=1)}"
        for key, value in (("sources", named), ("cubins", dict(sorted(found.cubins.items()))))
        if value
    )
    return "{\n" + head + ' "libraries": {' + (f"\n{lines}\n }}" if lines else "}") + rest + "\n}\n"
