"""All YAML of the matrix -> one `Matrix`, or one ConfigError that names every problem with file and line.

The only module that knows the folder layout; what it returns is checked and is trusted everywhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from matrix.checkout import CHECKOUT
from matrix.condition import Condition, compile_condition, suggest_value
from matrix.errors import ConfigError, Problem
from matrix.hardware import Gpu, Rig
from matrix.model import Cause, Checkpoint, Engine, Family, Feature, Overlay, Release, Rule
from matrix.pins import Pins
from matrix.recorded import Claim, KnownFailure, Published
from matrix.yaml import crossref, yamltext
from matrix.yaml.claim_words import find_claim_problems
from matrix.yaml.document import Document, Loc
from matrix.yaml.known_shape import find_shape_problems
from matrix.yaml.loaded import Loaded, Matrix
from matrix.yaml.patterns import find_wrong_texts
from matrix.yaml.references import KEYS, LostEntry, count_hidden, describe_empty, describe_lost
from matrix.yaml.structure import structure_data
from matrix.yaml.variants import find_wrong_drafts, find_wrong_variants

T = TypeVar("T")
Named = TypeVar("Named", Gpu, Release, Family, Checkpoint, Feature)
Prepare = Callable[[Document, list[Problem]], Any]
HERE = CHECKOUT / "matrix"
PLACED = ("gpus", "engine", "release", "family", "checkpoint", "feature")


@dataclass(slots=True)
class _Default:
    """The folder that is read where nobody names one."""

    root: Path = HERE


_DEFAULT: Final = _Default()


def choose_matrix(root: Path = HERE) -> None:
    """Let `load_matrix()` read another folder from now on, as `pytest --matrix` asks. Evidence holds its digest."""
    _DEFAULT.root = root


def load_matrix(root: Path | None = None) -> Matrix:
    """Read the whole matrix below `root`, by default the one of this checkout.

    Raises:
        ConfigError: every problem of every file, each with file, line and the nearest valid word.
    """
    return _read_once(root or _DEFAULT.root)


def read_matrix(root: Path) -> Matrix:
    """Read it again, though it was read before: a file may have changed. Raise as `load_matrix`."""
    reader = Reader(root)
    gpus = reader.files(Gpu, "axes/hardware/*.yaml")
    engines = reader.files(Engine, "axes/engines/*/engine.yaml", stem="parent")
    releases = reader.files(Release, "axes/engines/*/*.yaml", skip="engine.yaml")
    families = reader.files(Family, "axes/families/*.yaml")
    # after the families, from which their keys are filled in
    checkpoints = reader.files(Checkpoint, "axes/checkpoints/*.yaml", prepare=_Inherit(families, reader.lost))
    features = reader.files(Feature, "axes/features/*.yaml")
    rules = reader.lists(Rule, "rules.yaml", "rules")
    overlays = reader.lists(Overlay, "recipes/*.yaml", "overlays")
    known = reader.lists(KnownFailure, "known_failures.yaml", "known_failures")
    claims = reader.files(Claim, "claims/*.yaml")
    published = reader.lists(Published, "published.yaml", "published")
    # before conditions are compiled: `pins:` in a `when:` asks the snapshots
    pins = Pins(snapshots=root / "snapshots", declared={r.value.id: r.value.pins for r in releases})
    causes = reader.lists(Cause, "causes.yaml", "causes")
    cross, hidden = crossref.find_cross_problems(
        gpus=gpus,
        engines=engines,
        releases=releases,
        checkpoints=checkpoints,
        features=features,
        conditioned=[*rules, *overlays, *known, *claims, *published, *features],
        overlays=overlays,
        patches={p.parent.name for p in (root / "patches").glob("*/patch.yaml")},
        pins=pins,
        causes=causes,
        families=families,
        lost=reader.lost,
    )
    forms = find_wrong_texts(
        [*gpus, *engines, *releases, *families, *checkpoints, *features, *rules, *overlays, *known, *claims, *causes]
    )
    problems = [*forms, *count_hidden(reader.problems, hidden), *cross, *find_shape_problems(known)]
    # everything is collected before the first raise: whoever edits ten files wants ten errors, not one ten times
    problems += [*crossref.find_unnamed_launches(published), *crossref.find_wrong_inert(claims, features)]
    problems += _find_wrong_features(features, claims, families, [e.value.id for e in engines])
    if problems:
        raise ConfigError(problems)
    shared = tuple(c.value for c in causes)
    return Matrix(
        gpus=_by_id(gpus),
        rigs={r: Rig(id=r, gpu=g.value, gpus=n) for g in gpus for r, n in g.value.rigs.items()},
        # the engine's own causes first: they are more exact than what fits all
        engines={e.value.id: replace(e.value, causes=(*e.value.causes, *shared)) for e in engines},
        releases=_by_id(releases),
        families=_by_id(families),
        checkpoints=_by_id(checkpoints),
        features=_by_id(features),
        rules=_compile_conditions(rules, pins),
        overlays=_compile_conditions(overlays, pins),
        known_failures=_compile_conditions(known, pins),
        claims=_compile_conditions(claims, pins),
        published=_compile_conditions(published, pins),
        places=_places_of(gpus, engines, releases, families, checkpoints, features),
        pins=pins,
        root=root,
    )


def _find_wrong_features(
    features: Sequence[Loaded[Feature]],
    claims: Sequence[Loaded[Claim]],
    families: Sequence[Loaded[Family]],
    engine_ids: Sequence[str],
) -> Iterator[Problem]:
    """Find what is wrong where something names a feature, or a feature an engine."""
    yield from find_claim_problems(claims, [f.value.id for f in features])
    yield from find_wrong_variants(features, engine_ids)
    yield from find_wrong_drafts(families, features, engine_ids)


# by root: tests and `--matrix` read other folders in one process
_read_once: Final = cache(read_matrix)


@cache
def load_families(root: Path = HERE) -> Mapping[str, Family]:
    """Read the families alone, by id.

    Raises:
        ConfigError: every problem of their files.
    """
    reader = Reader(root)
    found = reader.files(Family, "axes/families/*.yaml")
    if reader.problems:
        raise ConfigError(reader.problems)
    return {f.value.id: f.value for f in found}


def inherit_traits(data: Mapping[str, Any], family: Family) -> dict[str, Any]:
    """Return a checkpoint's keys over those that its family states."""
    traits = family.checkpoints
    return {f.name: value for f in fields(traits) if (value := getattr(traits, f.name)) is not None} | dict(data)


def digest_of(root: Path) -> str:
    """sha256 over every YAML file: which matrix a run was judged by."""
    whole = hashlib.sha256()
    for path in sorted(root.rglob("*.yaml")):
        if path.is_file():  # a folder or a pipe of that name says nothing
            # the name counts: a recipe that moves into another file is another matrix
            # and lines end as git keeps them: a checkout of Windows is the same matrix
            whole.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n"))
    return whole.hexdigest()


def _compile_conditions(items: Iterable[Loaded[Any]], pins: Pins) -> tuple[Loaded[Any], ...]:
    """Conditions are compiled only once crossref has found them valid."""
    return tuple(replace(i, condition=compile_condition(i.value.when, pins)) for i in items)


def _by_id(items: Iterable[Loaded[Named]]) -> dict[str, Named]:
    return {each.value.id: each.value for each in items}


def _places_of(*files: Iterable[Loaded[Any]]) -> dict[str, str]:
    """Return where each entry is written, `kind:id` -> `file:line`; one argument a kind, in the order of PLACED."""
    return {f"{kind}:{i.value.id}": i.where() for kind, items in zip(PLACED, files, strict=True) for i in items}


class _Inherit:
    """Fill a checkpoint's keys from its family; a family that is not there is one problem, not one per key."""

    def __init__(self, families: Sequence[Loaded[Family]], lost: Sequence[LostEntry]) -> None:
        self.families = {f.value.id: f.value for f in families}
        self.told = {name for entry in lost for name in entry.names.get("family", ())}  # by their own files

    def __call__(self, doc: Document, problems: list[Problem]) -> Any:
        name = doc.data.get("family") if isinstance(doc.data, dict) else None
        if not isinstance(name, str):
            return doc.data  # structuring says what is missing
        if name in self.families:
            return inherit_traits(doc.data, self.families[name])
        if name not in self.told:
            hint = suggest_value("family", name, self.families)
            problems.append(doc.problem(("family",), f"no family is {name!r}{hint}"))
            self.told.add(name)
        return None


NEVER = Condition((), 0, frozenset())


class Reader:
    """Reads YAML files below a root and keeps every problem instead of stopping at the first."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[Problem] = []
        self.lost: list[LostEntry] = []

    def files(
        self, kind: type[T], pattern: str, *, stem: str = "stem", skip: str = "", prepare: Prepare | None = None
    ) -> list[Loaded[T]]:
        """One `kind` per file; its id must be the file's stem (or its folder's name, for `stem="parent"`).

        `prepare` makes the data out of a document; None means that it has said what is wrong.
        """
        found: list[Loaded[T]] = []
        paths = sorted(p for p in self.root.glob(pattern) if p.name != skip)
        if not paths and kind in KEYS:
            self.problems.append(Problem(pattern, 0, "", "there is no such file: nothing can be combined"))
            # every name of this axis would be unknown now: one problem instead of thousands
            self.lost.append(describe_empty(kind, pattern))
        for path in paths:
            doc = self._read(path)
            expected = path.parent.name if stem == "parent" else path.stem
            data = doc.data
            if kind is Release and isinstance(data, dict):
                # the folder says it, so the file need not, and cannot contradict it
                data = {**data, "engine": path.parent.name}
            if prepare is not None and not doc.problems and (data := prepare(doc, self.problems)) is None:
                self.lost.append(describe_lost(kind, doc.name, expected, doc.data))
                continue
            value = self._parse(kind, doc, data, ())
            if value is None:
                self.lost.append(describe_lost(kind, doc.name, expected, doc.data))
                continue
            if (got := value.id) != expected:  # type: ignore[attr-defined]
                self.problems.append(doc.problem(("id",), f"expected {expected!r} as the file is named, got {got!r}"))
                self.lost.append(describe_lost(kind, doc.name, expected, doc.data))
                value = replace(value, id=expected)  # type: ignore[type-var]  # it goes by its file's name until then
            found.append(Loaded(value=value, file=doc.name, line=1, lines=doc.lines, condition=NEVER))
        return found

    def lists(self, kind: type[T], pattern: str, key: str) -> list[Loaded[T]]:
        """Many `kind`s per file, in the list under the file's only key."""
        found: list[Loaded[T]] = []
        for path in sorted(self.root.glob(pattern)) if "*" in pattern else [self.root / pattern]:
            doc = self._read(path)
            if not isinstance(doc.data, dict) or list(doc.data) != [key] or not isinstance(doc.data[key], list):
                if not doc.problems:
                    self.problems.append(doc.problem((), f"expected one key {key!r} with a list"))
                continue
            lines: list[dict[Loc, int]] = [{} for _ in doc.data[key]]
            for loc, n in doc.lines.items():
                if len(loc) > 1:
                    lines[int(loc[1])][loc[2:]] = n
            for i, (item, own) in enumerate(zip(doc.data[key], lines, strict=True)):
                value = self._parse(kind, doc, item, (key, i))
                if value is not None:
                    found.append(Loaded(value=value, file=doc.name, line=own[()], lines=own, condition=NEVER))
        return found

    def _read(self, path: Path) -> Document:
        doc = yamltext.read_document(path, path.relative_to(self.root).as_posix())
        self.problems += doc.problems
        return doc

    def _parse(self, kind: type[T], doc: Document, data: Any, at: Loc) -> T | None:
        return None if doc.problems else structure_data(kind, doc, data, at, self.problems)
