"""A cell -> everything needed to launch it, every value with who set it and why.

One precedence rule: among the overlays that match, per key, the one with more conditions wins; an equal count with
a different value is an error that names both. `form="published"` leaves the corrections (`form: recommended`) out.

Placeholders in string values: {model} {host} {port} {tp} {attention_tp} {pp} {dp} {ep} {dcp} {pcp} {context} {pattern}
{draft} {draft_revision} {api_key_env}. `draft` is the repository of the draft that the cell asks for, empty where it
asks for none; `draft_revision` its commit, and what is nothing but that is left out where none is known.
`model`, `host`, `port` and `api_key_env` are known only at launch and stay in the plan as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from typing import Any, Final

from matrix.condition import OFFERED_KEYS, RELEASE_KEYS
from matrix.errors import ConfigError, Problem
from matrix.hardware import Json
from matrix.model import Cell, Form, Overlay
from matrix.planning.drafts import find_draft
from matrix.planning.ranks import DIMENSIONS, ONE, Ranks, read_ranks
from matrix.yaml.loaded import Loaded, Matrix

Path = tuple[str, ...]
FLAT = ("args", "env", "sampling", "settings")  # one level of keys; the others merge key by key at any depth
DEEP = ("config", "tokenizer_config", "serve_config", "launcher")
SECTIONS = (*FLAT, *DEEP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One value of a plan with its provenance. `value` None means: some overlay removed it."""

    path: Path  # ("--page-size",) or ("kv_cache_config", "dtype")
    value: Json
    why: str
    source: str
    overlay: str
    where: str  # file:line
    weight: int
    beaten: tuple[str, ...] = ()  # what less specific overlays had said, as "value (where)"

    @property
    def key(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """How one cell is launched. Sections hold settings in the order the recipes introduce them."""

    cell: Cell
    form: Form
    sections: Mapping[str, tuple[Setting, ...]]
    patches: tuple[Setting, ...]
    ranks: Ranks = ONE

    def setting(self, section: str, key: str) -> Setting | None:
        return next((s for s in self.sections[section] if s.key == key and s.value is not None), None)

    def values(self, section: str) -> dict[str, Any]:
        """Return a section as a nested mapping."""
        tree: dict[str, Any] = {}
        for s in self.sections[section]:
            if s.value is None:
                continue
            node = tree
            for part in s.path[:-1]:
                node = node.setdefault(part, {})
            node[s.path[-1]] = s.value
        return tree

    @cached_property
    def env(self) -> dict[str, str]:
        return {k: _as_text(v) for k, v in self.values("env").items()}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Facts for the suites, e.g. context and chunk_tokens (tokens)."""
        return self.values("settings")

    @property
    def launcher_kind(self) -> str:
        """Who starts it: as the recipes say, else Docker where the release is an image."""
        return str(self.values("launcher").get("kind", "docker" if self.cell.release.image else "process"))

    @property
    def patch_names(self) -> tuple[str, ...]:
        return tuple(p.key for p in self.patches)

    def arguments(self) -> list[str]:
        """argv after the engine's command, with launch-time placeholders still in it."""
        return [word for words in self._list_flags() for word in words]

    def _list_flags(self) -> list[list[str]]:
        """Each flag with its values, in argv's order; the model first, where the engine takes it without a flag."""
        engine, args = self.cell.engine, self.sections["args"]
        named = engine.model_argument or any(s.value == "{model}" for s in args)
        return [*([] if named else [["{model}"]]), *(words for s in args if (words := _flag_words(s)))]

    def argv(self, **launch: str) -> list[str]:
        """Return the whole command; `launch` fills model, host, port and api_key_env."""
        words = [*self.cell.engine.command, *self.arguments()]
        return [fill_placeholders(w, launch) for w in words]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what makes a launch distinct. Cells with equal ones share one running engine."""
        cell = self.cell
        what = {
            "rig": cell.rig.id,
            "release": [cell.release.id, cell.release.image_digest or cell.release.image],
            "checkpoint": [cell.checkpoint.id, cell.checkpoint.revision, cell.checkpoint.sha256],
            # Sorted by flag: two recipes that say the same in another order share one engine. A flag's values stay with
            # it and in their order: `--tp 2 --dp 4` is not `--tp 4 --dp 2`, though the words are the same.
            "argv": sorted(self._list_flags()),
            "patches": sorted(self.patch_names),
            **{name: self.values(name) for name in ("env", *DEEP)},
        }
        text = json.dumps(what, sort_keys=True, default=str)
        # 64 bits: some thousand plans collide with a probability of one in 10**12.
        return hashlib.sha256(text.encode()).hexdigest()[:16]


OPTIONAL: Final = "{draft_revision}"  # a value that is nothing else is left out where it is not known


def make_plan(matrix: Matrix, cell: Cell, form: Form = "recommended") -> Plan:
    """Merge the recipes that match the cell.

    Raises:
        ConfigError: two overlays of equal weight disagree (all such places at once).
    """
    whole, rig = matrix.origin, cell.rig
    # Cells are equal by their ids: a changed copy of a rig, release or checkpoint is never taken for the real one.
    own = is_of_matrix(whole, cell) and whole.rigs.get(rig.id) is rig and whole.engines[cell.engine.id] is cell.engine
    return _make_own_plan(whole, cell, form) if own else _merge_overlays(matrix, cell, form)


@lru_cache(maxsize=32_768)  # every plan of two matrices in both forms: lint, the gate and reports ask for them again
def _make_own_plan(matrix: Matrix, cell: Cell, form: Form) -> Plan:
    return _merge_overlays(matrix, cell, form)


def _merge_overlays(matrix: Matrix, cell: Cell, form: Form) -> Plan:
    facts = cell.facts
    if is_of_matrix(matrix, cell):
        pieces = _lay_out_possible(matrix.origin, cell.release.id, cell.checkpoint.id)
    else:
        pieces = _lay_out_overlays(matrix, cell.engine.id)
    matching = tuple(p for p in pieces if p.overlay.condition(facts, form))
    ranks = read_ranks(matrix, cell)
    draft = find_draft(matrix, cell)
    known = _known_values(cell, ranks) | {"draft": "", "draft_revision": ""}
    if draft is not None:
        known |= {"draft": draft.repository, "draft_revision": draft.revision or ""}
    merged = _merge_pieces(matching, tuple(known.items()))
    if merged.conflicts:
        raise ConfigError([_make_conflict(cell, *conflict) for conflict in merged.conflicts])
    return Plan(cell=cell, form=form, sections=merged.sections, patches=merged.patches, ranks=ranks)


def fill_placeholders(text: str, values: Mapping[str, str]) -> str:
    """Replace the known placeholders and leave every other brace alone (JSON is full of them)."""
    for name, value in values.items():
        # No str.format: recipes hold JSON, whose braces it would take for fields.
        text = text.replace("{" + name + "}", value)
    return text


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OverlayPiece:
    """An overlay with its settings laid out per section, made once per matrix."""

    overlay: Loaded[Overlay]
    sections: Mapping[str, tuple[Setting, ...]]
    patches: tuple[Setting, ...]


@cache
def _lay_out_overlays(matrix: Matrix, engine: str) -> tuple[OverlayPiece, ...]:
    """Overlays that can speak about an engine, from general to specific, file order among equals."""
    chosen = [o for o in matrix.overlays if engine in _as_sequence(o.value.when.get("engine", engine))]
    return tuple(_lay_out_overlay(o) for o in sorted(chosen, key=lambda o: o.condition.weight))


@cache
def _lay_out_possible(matrix: Matrix, release: str, checkpoint: str) -> tuple[OverlayPiece, ...]:
    """Lay out those that can match on some rig with some features: five of six do not, whatever the rig."""
    facts = offer_facts(matrix, release, checkpoint)
    pieces = _lay_out_of_release(matrix, release)
    return tuple(p for p in pieces if p.overlay.condition.holds_so_far(facts, OFFERED_KEYS))


@cache
def _lay_out_of_release(matrix: Matrix, release: str) -> tuple[OverlayPiece, ...]:
    """Lay out those that can match some checkpoint."""
    about = matrix.releases[release]
    pieces = _lay_out_overlays(matrix, about.engine)
    return tuple(p for p in pieces if p.overlay.condition.holds_so_far(about.offered, RELEASE_KEYS))


def is_of_matrix(matrix: Matrix, cell: Cell) -> bool:
    """Whether the cell's release and checkpoint are the matrix's own, not changed copies that a command made."""
    release, checkpoint = cell.release, cell.checkpoint
    own = matrix.releases.get(release.id) is release and matrix.checkpoints.get(checkpoint.id) is checkpoint
    return own and cell.engine.id == release.engine


def offer_facts(matrix: Matrix, release: str, checkpoint: str) -> Mapping[str, Json]:
    """Return the facts that a cell has by its release and checkpoint, whatever the rig (`OFFERED_KEYS`)."""
    return {**matrix.releases[release].offered, **matrix.checkpoints[checkpoint].facts}


def _as_sequence(value: Json) -> Sequence[Json]:
    return value if isinstance(value, (list, tuple)) else (value,)


def _lay_out_overlay(overlay: Loaded[Overlay]) -> OverlayPiece:
    sections = {
        name: tuple(
            _make_setting(overlay, path, value, name)
            for path, value in _iterate_leaves(getattr(overlay.value, name), deep=name in DEEP)
        )
        for name in SECTIONS
    }
    patches = tuple(_make_setting(overlay, (p,), True, "patches") for p in overlay.value.patches)
    return OverlayPiece(overlay=overlay, sections=sections, patches=patches)


Conflict = tuple[str, Setting, Setting]  # section, the first value, the one that contradicts it


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What overlays come to together."""

    sections: Mapping[str, tuple[Setting, ...]]
    patches: tuple[Setting, ...]
    conflicts: tuple[Conflict, ...]


@cache
def _merge_pieces(matching: tuple[OverlayPiece, ...], known: tuple[tuple[str, str], ...]) -> Merged:
    """Merge overlays, once for all cells that they match alike: rigs of one kind, and features that share a launch."""
    conflicts: list[Conflict] = []
    values = dict(known)
    sections = {name: _merge_section(name, matching, values, conflicts) for name in SECTIONS}
    patches = {s.path: s for p in matching for s in p.patches}  # a later, more specific overlay explains the patch
    return Merged(sections=sections, patches=tuple(patches.values()), conflicts=tuple(conflicts))


def _merge_section(
    section: str, matching: Sequence[OverlayPiece], known: Mapping[str, str], conflicts: list[Conflict]
) -> tuple[Setting, ...]:
    merged: dict[Path, Setting] = {}
    for piece in matching:
        for template in piece.sections[section]:
            new = _fill_setting(template, known)
            old = merged.get(new.path)
            if old is None:
                merged[new.path] = new
            elif old.value == new.value:
                # Equal values are no conflict, and the more specific overlay explains the value better.
                merged[new.path] = replace(new, beaten=old.beaten)
            # No order among equals: which file is read first must not decide what is launched.
            elif old.weight == new.weight:
                conflicts.append((section, old, new))
            else:
                merged[new.path] = replace(new, beaten=(*old.beaten, f"{_as_text(old.value)} ({old.where})"))
    return tuple(merged.values())


def _fill_setting(setting: Setting, known: Mapping[str, str]) -> Setting:
    """Fill what the cell knows into the setting; launch-time placeholders are kept."""
    value = _fill_static(setting.value, known)
    return setting if value is setting.value else replace(setting, value=value)


def _iterate_leaves(tree: Mapping[str, Json], *, deep: bool, at: Path = ()) -> Iterator[tuple[Path, Json]]:
    for key, value in tree.items():
        if deep and isinstance(value, Mapping) and value:
            yield from _iterate_leaves(value, deep=True, at=(*at, key))
        else:
            yield (*at, key), value


def _make_setting(overlay: Loaded[Overlay], path: Path, value: Json, section: str) -> Setting:
    o = overlay.value
    return Setting(
        path=path,
        value=value,
        why=o.why,
        source=o.source,
        overlay=o.id,
        where=overlay.where(section, *path),
        weight=overlay.condition.weight,
    )


def _make_conflict(cell: Cell, section: str, old: Setting, new: Setting) -> Problem:
    file, _, line = new.where.rpartition(":")
    message = (
        f"{_as_text(new.value)!r} contradicts {_as_text(old.value)!r} of overlay {old.overlay!r} at {old.where}: both"
        f" have {new.weight} conditions and match {cell.id}; add a condition to the one that should win"
    )
    return Problem(file, int(line), f"{new.overlay}.{section}.{new.key}", message)


def _fill_static(value: Json, known: Mapping[str, str]) -> Json:
    if isinstance(value, str):
        if value == OPTIONAL and not known[OPTIONAL.strip("{}")]:
            return None
        return fill_placeholders(value, known) if "{" in value else value
    if isinstance(value, Mapping):
        filled = {k: _fill_static(v, known) for k, v in value.items()}
        return {k: v for k, v in filled.items() if v is not None or value[k] is None}
    return value


def _known_values(cell: Cell, ranks: Ranks) -> dict[str, str]:
    checkpoint = cell.checkpoint
    parsers = checkpoint.parsers.get(cell.engine.id, {})
    return {
        "tp": str(ranks.tp),
        "attention_tp": str(ranks.attention_tp),
        **{name: str(getattr(ranks, name)) for name in DIMENSIONS},
        "pattern": checkpoint.index_topk_pattern or "",
        "context": str(checkpoint.context),
        "tool_call_parser": parsers.get("tool_call", ""),
        "reasoning_parser": parsers.get("reasoning", ""),
    }


def _as_text(value: Json) -> str:
    """Format a value for argv or the environment; mappings and lists as compact JSON."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: ""}[value]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _flag_words(setting: Setting) -> list[str]:
    if setting.value is None or setting.value is False:
        return []
    if setting.value is True:
        return [setting.key]
    if isinstance(setting.value, (list, tuple)):
        return [setting.key, *map(_as_text, setting.value)]
    return [setting.key, _as_text(setting.value)]
