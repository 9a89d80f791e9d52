"""Kernels for a line's GPU that one of two releases has: machine code of the wheels, and sources named for the GPU."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from typing import Final

from matrix.checking.rules import Decision
from matrix.checkout import CHECKOUT
from matrix.engine_kernels import Compiled
from matrix.model import Engine
from matrix.preflight.kernels import KernelWheel, read_wheels
from matrix.preflight.snapshot import Snapshot
from matrix.upgrading.news import News, Way
from matrix.upgrading.sides import Side
from matrix.wording import list_first
from matrix.yaml.structure import require_record

ENGINES: Final = CHECKOUT / "matrix" / "axes" / "engines"
BUILD: Final = re.compile(r"\.(cpython-\d+-[\w-]+|abi3)(?=\.so)")
OURS: Final = re.compile(r"sparse_mla|mqa_logits|flashmla|mla", re.IGNORECASE)  # what sparse attention of GLM-5 needs
SHOWN: Final = 4
FLAGS: Final = ("dsa_prefill", "dsa_decode", "attention_backend", "moe", "fp4_gemm")


@dataclass(frozen=True)
class PackageSides:
    """A package on both sides: its wheels, None where a side has none."""

    name: str
    before: KernelWheel | None
    after: KernelWheel | None
    sm: int

    @property
    def wheels(self) -> tuple[str, ...]:
        return tuple(wheel.wheel for wheel in (self.before, self.after) if wheel is not None)


def compare_kernels(before: Side, after: Side) -> Iterator[News]:
    """Compare what each package has for this GPU in both releases: compiled libraries, sources of sparse attention."""
    if not before.sm:
        return
    old, new = ({_package(w): w for w in read_wheels(s.snapshot)} for s in (before, after))
    for name in sorted(old.keys() | new.keys()):
        # half a comparison would call every kernel of the package new, or gone
        if any(name not in wheels and _has_pin(name, s) for wheels, s in ((old, before), (new, after))):
            continue  # pinned, and its kernels were not read: nothing can be compared
        package = PackageSides(name, old.get(name), new.get(name), before.sm)
        yield from _compare_libraries(package, before, after)
        yield from _compare_sources(package, elsewhere=any(_list_sparse_sources(w, before.sm) for w in new.values()))


def _package(wheel: KernelWheel) -> str:
    return wheel.wheel.partition("-")[0].replace("_", "-").lower()


def _has_pin(name: str, side: Side) -> bool:
    return name in side.snapshot.pins or name == side.snapshot.engine


def _libraries(wheel: KernelWheel | None, sm: int) -> frozenset[str]:
    """Paths of compiled libraries that this GPU can run."""
    found = wheel.libraries.items() if wheel is not None else ()
    # without the tag of the Python build: cp311 and abi3 of one library are the same kernels
    return frozenset(BUILD.sub("", path) for path, library in found if library.runs_on(sm))


def _list_sparse_sources(wheel: KernelWheel | None, sm: int) -> frozenset[str]:
    """Return the sources named for this GPU from which sparse attention is built."""
    names = wheel.sources.get(f"sm{sm}", ()) if wheel is not None else ()
    return frozenset(name for name in names if OURS.search(name))


def _compare_libraries(package: PackageSides, before: Side, after: Side) -> Iterator[News]:
    was, now = (_libraries(wheel, package.sm) for wheel in (package.before, package.after))
    if was == now:
        return
    lost, new = was - now, now - was
    # a file may only have another name, so what counts is the backend in it, not its path
    used = sorted(path for path in lost if _only_there(path, before, after))
    told = [f"{word}: {_join_backends(names, used)}" for word, names in (("gone", lost), ("new", new)) if names]
    way: Way = "changes" if lost and new else "ends" if lost else "begins"
    yield replace(
        _make_news(package, "libraries", way, told),
        level="risky" if used else "note",
        consequence=f"{used[0]} holds a backend that this line uses, and nothing else does." if used else "",
    )


def _compare_sources(package: PackageSides, *, elsewhere: bool) -> Iterator[News]:
    """Compare source files: if some remain (`elsewhere`: in any package), others may only have another name."""
    was, now = (_list_sparse_sources(wheel, package.sm) for wheel in (package.before, package.after))
    what = "sparse attention sources"
    if was and not now:
        told = [f"gone, all of them: {_join_backends(was)}"]
        # another package of the release may build them now: gone from one wheel is not gone from the launch
        yield replace(_make_news(package, what, "ends", told), level="note" if elsewhere else "risky")
    elif now and not was:
        yield _make_news(package, what, "begins", [f"new, there was none: {_join_backends(now)}"])
    elif was != now:
        told = [f"{len(was)} -> {len(now)} files, {len(was - now)} gone and {len(now - was)} new"]
        yield _make_news(package, what, "changes", told)


def _make_news(package: PackageSides, what: str, way: Way, told: Sequence[str]) -> News:
    seen = f"machine code and file list of {' and '.join(package.wheels)}"
    return News(
        part="kernel",
        key=f"{what} of {package.name}",
        way=way,
        danger="new" if way == "begins" else "other",
        level="note",
        title=f"{what} of {package.name} for sm_{package.sm}",
        cause=f"{'; '.join(told)}.",
        decided_by=Decision(kind="wheel", fact=seen, read=""),
        sources=package.wheels,
    )


def _join_backends(names: frozenset[str], first: Sequence[str] = ()) -> str:
    ordered = sorted(names, key=lambda name: (name not in first, OURS.search(name) is None, name))
    return list_first(ordered, SHOWN)


def _only_there(path: str, before: Side, after: Side) -> bool:
    """Whether a lost library holds a backend that this line uses, and no library of the other release does."""
    used = _backends(path, before)
    left = {b for w in read_wheels(after.snapshot) for p in _libraries(w, before.sm) for b in _backends(p, before)}
    return bool(used - left)


def _backends(path: str, side: Side) -> set[str]:
    """Return the backends of this line that live in a library."""
    # of this line alone: a library of backends that it does not use may go without being missed
    used = {str(side.fact(name)) for name in FLAGS}
    holding = (e for e in _compiled(side.snapshot.engine) if fnmatchcase(path, BUILD.sub("", e.library)))
    return {backend for entry in holding for backend in entry.backends if backend in used}


@cache
def _compiled(engine: str) -> tuple[Compiled, ...]:
    """`compiled` of an engine's file: which backends live in which library."""
    path = ENGINES / engine / "engine.yaml"
    return require_record(Engine, path).compiled if path.is_file() else ()


def list_unread(snapshot: Snapshot) -> list[str]:
    """Parts of a release that could not be read."""
    found = [
        f"{snapshot.engine} {snapshot.version}: its {', '.join(parts)} could not be read ({why})"
        for why, parts in snapshot.unread_by_reason.items()
    ]
    if not snapshot.complete:
        found.insert(0, f"{snapshot.engine} {snapshot.version} itself was not read; judged by {snapshot.source}")
    return found
