"""What a release declares of its libraries, for conditions like `pins: {flashinfer-python: ">=0.6.18,<0.7"}`.

A condition holds only where it is certain: every version that the release's own pin allows lies inside the range asked
for. A pin that allows more, a release whose metadata nobody has read (a fork, TensorRT-LLM's stub) and a library that
is not pinned are all unknown, and what is unknown neither excuses a failure nor excludes a combination.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from matrix.errors import suggest_nearest

Pinned = Mapping[str, SpecifierSet]  # library, normalised -> the versions that the release allows
Lines = tuple[Sequence[str], Sequence[str]]  # of one library: declared, and required by the wheel
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
HOST: Final = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64", "extra": ""}


@dataclass(frozen=True, kw_only=True)
class Pins:
    """The pins of every release, read from its snapshot when a condition first asks for one.

    `declared` are those of the release's YAML file; they add what the snapshot, the release's own metadata, leaves out.
    """

    snapshots: Path | None = None
    declared: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # release -> library -> specifier
    _lines: dict[str, Mapping[str, Lines]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _read: dict[tuple[str, str], SpecifierSet | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def pinned_by(self, release: str) -> Pinned:
        """Return what `release` pins; empty where nothing is known of it."""
        found = {name: self.find_pin(release, name) for name in self._lines_of(release)}
        return {name: pin for name, pin in found.items() if pin is not None}

    def find_pin(self, release: str, library: str) -> SpecifierSet | None:
        """Return which versions of a library `release` allows; None where nothing is known of it.

        Conditions name three of the 60 libraries of a release: parsing all of them was a thirtieth of a start.
        """
        key = release, canonicalize_name(library)
        if key not in self._read:
            declared, required = self._lines_of(release).get(key[1], ((), ()))
            self._read[key] = {**parse_pins(declared), **parse_pins(required)}.get(key[1])
        return self._read[key]

    def allows_only(self, release: str, library: str, wanted: str) -> bool:
        """Whether every version of `library` that `release` allows lies in `wanted`; False where that is unknown."""
        pin = self.find_pin(release, library)
        if pin is None:
            return False
        try:
            return not pin.is_unsatisfiable() and pin.is_subset(with_prereleases(wanted))
        except ValueError:  # `===` compares text: its versions have no order
            return False

    @cached_property
    def libraries(self) -> frozenset[str]:
        """Every library that any release pins: what a condition may name."""
        return frozenset(name for release in self.declared for name in self.pinned_by(release))

    def is_pinned(self, library: str) -> bool:
        """Whether any release pins the library."""
        return any(self.find_pin(release, library) is not None for release in self.declared)

    def _lines_of(self, release: str) -> Mapping[str, Lines]:
        """Return, for each library, the lines of the release's YAML and those of its snapshot."""
        if release not in self._lines:
            found: dict[str, tuple[list[str], list[str]]] = {}
            for name, text in self.declared.get(release, {}).items():
                found.setdefault(canonicalize_name(name), ([], []))[0].append(f"{name}{text}")
            for line in self._required(release):
                # a line that begins with no name is no requirement: parsing it says so
                name = named[0] if (named := _NAME.match(line.strip())) else Requirement(line).name
                found.setdefault(canonicalize_name(name), ([], []))[1].append(line)
            self._lines[release] = found
        return self._lines[release]

    def _required(self, release: str) -> Iterator[str]:
        path = self.snapshots / f"{release}.json" if self.snapshots else None
        if path is not None and path.is_file():
            yield from json.loads(path.read_text(encoding="utf-8")).get("requires", ())


def parse_pins(lines: Iterable[str]) -> Pinned:
    """Requires-Dist lines -> the versions they allow on Linux x86-64; several lines for one library all count."""
    found: dict[str, SpecifierSet] = {}
    for line in lines:
        needed = Requirement(line)
        if needed.marker is None or needed.marker.evaluate(HOST):
            name = canonicalize_name(needed.name)
            pin = with_prereleases(str(needed.specifier))
            found[name] = found[name] & pin if name in found else pin
    return found


def with_prereleases(text: str) -> SpecifierSet:
    """Parse the specifier with pre-releases: a library is pinned to 0.6.18rc1 as to any other version.

    Raises:
        InvalidSpecifier: it is no PEP 440 specifier.
    """
    return SpecifierSet(text, prereleases=True)


def find_pin_problems(value: object, pins: Pins) -> Iterator[str]:
    """Find what is wrong with a `pins:` condition: its form, its specifiers, unpinned libraries."""
    if not isinstance(value, Mapping) or not value:
        yield f"expected libraries with specifiers, like {{flashinfer-python: '>=0.6.18,<0.7'}}, got {value!r}"
        return
    for library, wanted in value.items():
        if not pins.is_pinned(str(library)):
            yield f"no release pins a library {library!r}{suggest_nearest(str(library), pins.libraries)}"
        try:
            if not isinstance(wanted, str) or not SpecifierSet(wanted):
                yield f"expected a specifier like '>=0.6.18,<0.7' for {library!r}, got {wanted!r}"
        except InvalidSpecifier as error:
            yield f"not a PEP 440 specifier for {library!r}: {error}"
