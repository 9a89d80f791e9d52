"""What a GPU can execute of a compiled library: machine code of its own kind, or PTX that its driver translates.

An `a` after an architecture binds code to exactly that GPU, an `f` to its family: `sm_120f` runs on SM121, `sm_120a`
does not; `sm_100f` runs on SM103, `sm_100a` does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Final

ARCHITECTURE: Final = re.compile(r"sm_(?P<major>\d+)(?P<minor>\d)(?P<suffix>[af]?)")


@dataclass(frozen=True, kw_only=True)
class Library:
    """One compiled file of a wheel, e.g. sass ("sm_90a", "sm_100f"). Both empty: no CUDA code."""

    sass: tuple[str, ...] = ()
    ptx: tuple[str, ...] = ()

    def runs_on(self, sm: int) -> bool:
        """Whether a GPU of this compute capability (90, 100, 120) can execute anything of it."""
        return any(_can_execute(a, sm) for a in self.sass) or any(_can_translate(a, sm) for a in self.ptx)

    def __str__(self) -> str:
        sass, ptx = (", ".join(names) for names in (self.sass, self.ptx))
        return f"SASS for {sass or 'nothing'} and {'PTX for ' + ptx if ptx else 'no PTX'}"


def _can_execute(architecture: str, sm: int) -> bool:
    """SASS runs on its own major version from its minor on; an `a` on exactly its own GPU."""
    own, major, suffix = _split_architecture(architecture)
    return sm == own if suffix == "a" else sm // 10 == major and sm >= own


def _can_translate(architecture: str, sm: int) -> bool:
    """PTX is compiled by the driver for any later GPU, unless it is for one GPU (a) or family (f) only."""
    own, _, suffix = _split_architecture(architecture)
    return _can_execute(architecture, sm) if suffix else sm >= own


def _split_architecture(architecture: str) -> tuple[int, int, str]:
    found = ARCHITECTURE.fullmatch(architecture)
    if found is None:
        raise ValueError(f"{architecture!r} is not an architecture like sm_90a")
    return int(found["major"] + found["minor"]), int(found["major"]), found["suffix"]


@cache
def read_libraries(path: Path) -> Mapping[str, Library]:
    """Read the compiled libraries of one wheel by their path in it; empty where no snapshot of it is there."""
    if not path.is_file():
        return {}
    raw = json.loads(path.read_text(encoding="utf-8"))["libraries"]
    return {
        name: Library(**{kind: tuple(codes.split()) for kind, codes in found.items()}) for name, found in raw.items()
    }


def list_silent(folder: Path, stems: Iterable[str], patterns: Iterable[str], sm: int) -> Iterator[str] | None:
    """List the matching libraries that have nothing for a GPU, as text; None where no wheel has such a library."""
    wanted = tuple(patterns)
    found = [
        (name, library)
        for stem in stems
        for name, library in read_libraries(folder / f"{stem}.json").items()
        if any(fnmatchcase(name, pattern) for pattern in wanted)
    ]
    return (f"{name} has {library}" for name, library in found if not library.runs_on(sm)) if found else None
