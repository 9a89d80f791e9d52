"""What the YAML of the matrix becomes once it is read: values with their places, and the `Matrix` that holds all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from matrix.condition import Condition
from matrix.hardware import Gpu, Rig
from matrix.model import Checkpoint, Engine, Family, Feature, Overlay, Release, Rule
from matrix.pins import Pins
from matrix.recorded import Claim, KnownFailure, Published
from matrix.yaml.document import Loc

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, eq=False)
class Loaded(Generic[T]):
    """A value with where it stands and, for things with a `when:`, its compiled condition."""

    value: T
    file: str
    line: int
    lines: Mapping[Loc, int]  # of the value's own keys
    condition: Condition

    def where(self, *loc: str | int) -> str:
        """`file:line` of a key of this value, or of the value itself."""
        return f"{self.file}:{self.lines.get(loc, self.line)}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Matrix:
    """Everything the YAML says, by id, in file order."""

    gpus: Mapping[str, Gpu]
    rigs: Mapping[str, Rig]
    engines: Mapping[str, Engine]
    releases: Mapping[str, Release]
    families: Mapping[str, Family]
    checkpoints: Mapping[str, Checkpoint]
    features: Mapping[str, Feature]
    rules: tuple[Loaded[Rule], ...]
    overlays: tuple[Loaded[Overlay], ...]
    known_failures: tuple[Loaded[KnownFailure], ...]
    claims: tuple[Loaded[Claim], ...]
    published: tuple[Loaded[Published], ...]
    places: Mapping[str, str]  # "checkpoint:glm5_fp8" -> file:line
    pins: Pins
    root: Path
    whole: Matrix | None = None  # what it is a part of: fewer rigs and checkpoints, and the rest the same

    @property
    def origin(self) -> Matrix:
        """Return the matrix under which to remember what depends on no rig: parts of one matrix share it."""
        return self.whole or self
