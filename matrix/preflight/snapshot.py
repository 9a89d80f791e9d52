"""What one engine release accepts: flags, environment variables, architectures, pins. Data, committed as JSON.

`lab.snapshot` writes these files from the release's own wheel; everything here only reads them, so a verdict
needs neither the engine nor a network. A field that equals its default is left out of the file, and what releases of
an engine have in common stands once, in snapshots/shared/ (blocks.py). What could not be read is in `unread`: it is
unknown, never absent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from matrix.checkout import CHECKOUT
from matrix.preflight.blocks import address_block, blocks_path, cut_runs, expand_blocks, read_blocks, write_blocks

SNAPSHOTS = CHECKOUT / "matrix" / "snapshots"
FORKS = SNAPSHOTS / "forks.json"
FLAGS = ("flags", "file_keys")
NAMES = ("env", "architectures", "model_types")  # long sets of names
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)\s*(\[[^\]]*\])?\s*\(?(?P<spec>[^;()@]*)")


@dataclass(frozen=True, kw_only=True)
class Flag:
    """One argument of an engine's parser. `options` is empty for a positional one."""

    options: tuple[str, ...]
    dest: str
    action: str = "store"  # store, store_true, store_false, bool_optional, append, error (refuses when used)
    nargs: int | str | None = None
    type: str = "str"  # str, int, float, json, human_int, or the name of the release's own function
    choices: tuple[Any, ...] | None = None  # closed set, enforced by the parser; None = any value
    choices_unknown: bool = False  # the release has choices that static reading could not resolve
    values: tuple[Any, ...] | None = None  # closed set, enforced after parsing (enum, registry)
    listed: tuple[Any, ...] | None = None  # values the release names without enforcing them
    keys: Mapping[str, tuple[Any, ...] | None] | None = None  # of a JSON object: key -> allowed values or any
    lowers: bool = False  # the value is lowered and '-' becomes '_' before it is compared
    default: str = ""  # as written in the source
    deprecated: str = ""  # what the release says about it
    required: bool = False

    @property
    def name(self) -> str:
        """The option as an error message would spell it."""
        return next((o for o in self.options if o.startswith("--")), self.options[0] if self.options else self.dest)

    @property
    def takes_value(self) -> bool:
        return self.action in ("store", "append") and self.nargs != 0


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One release. `complete=False`: absence from the lists proves nothing (documents, forks), save in `read`."""

    release: str
    engine: str
    version: str
    source: str  # wheel file name, or the documents that were read
    sha256: str = ""  # of the wheel
    complete: bool = True
    fork: bool = False
    dialect: str = "argparse"  # vllm: underscores are dashes, dotted options are JSON; strict, click: no abbreviations
    flags: tuple[Flag, ...] = ()
    file_keys: tuple[Flag, ...] = ()  # of the YAML behind `--config`; options are dotted names: kv_cache_config.dtype
    env: frozenset[str] = frozenset()
    env_deprecated: Mapping[str, str] = field(default_factory=dict)
    architectures: frozenset[str] = frozenset()
    model_types: frozenset[str] = frozenset()
    requires: tuple[str, ...] = ()  # Requires-Dist without the extras
    parsers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # reasoning, tool_call
    config_keys: Mapping[str, frozenset[str]] = field(
        default_factory=dict
    )  # architecture, or "*" -> keys that are read
    registered: Mapping[str, str] = field(default_factory=dict)  # architecture of the family -> module that serves it
    chosen: Mapping[str, str] = field(
        default_factory=dict
    )  # "ARCHITECTURE smNN KV" -> backends that it takes by itself
    probes: Mapping[str, str] = field(default_factory=dict)  # text probe of facts.yaml -> file:line of a match, or ""
    unread: Mapping[str, str] = field(default_factory=dict)  # part (flags, env, ...) -> why it could not be read
    read: tuple[str, ...] = ()  # of a release that was not read itself: the parts that were, `requires` of its stub
    facts: Mapping[str, Any] = field(default_factory=dict)  # further facts with their source

    @cached_property
    def options(self) -> dict[str, Flag]:
        """Every option string, as argparse indexes them; a later registration does not replace an earlier one."""
        # (reversed: the first registration is written last, and stays)
        return {option: flag for flag in reversed(self.flags) for option in flag.options}

    @cached_property
    def keys_of_file(self) -> dict[str, Flag]:
        """Every dotted key of the configuration file, by each of its names."""
        return {name: flag for flag in self.file_keys for name in flag.options}

    @cached_property
    def positionals(self) -> tuple[Flag, ...]:
        return tuple(flag for flag in self.flags if not flag.options)

    @cached_property
    def required(self) -> tuple[Flag, ...]:
        return tuple(flag for flag in self.flags if flag.required)

    @cached_property
    def pins(self) -> dict[str, str]:
        """Package name (normalised) -> its version specifier as text; markers and extras are cut off."""
        matches = (REQUIREMENT.match(line) for line in self.requires)
        return {re.sub(r"[-_.]+", "-", m["name"]).lower(): m["spec"].strip() for m in matches if m}

    def reads_key(self, architecture: str, key: str) -> bool | None:
        """Whether anything reads this key of the checkpoint's config.json; None where that was not read."""
        # shared code alone is enough, where the class is served: "*" is read for every class
        known = architecture in self.config_keys or (architecture in self.registered and "*" in self.config_keys)
        if "config_keys" in self.unread or not known:
            return None
        return any(key in self.config_keys.get(scope, ()) for scope in ("*", architecture))

    def knows(self, part: str) -> bool:
        """Whether absence from this part (flags, env, architectures, ...) says anything."""
        return (self.complete or part in self.read) and part not in self.unread

    @property
    def unread_by_reason(self) -> dict[str, list[str]]:
        """Why parts could not be read -> those parts: one reason is told once."""
        parts: dict[str, list[str]] = {}
        for part, why in self.unread.items():
            parts.setdefault(why, []).append(part)
        return parts

    @property
    def abbreviates(self) -> bool:
        """Whether a unique prefix of an option is the option."""
        return self.dialect in ("argparse", "vllm")

    def backends(self) -> dict[str, tuple[Any, ...]]:
        """Return the closed choice lists of the backend flags: attention, MoE, FP4 and their relatives."""
        return {
            flag.dest: flag.choices or flag.values or ()
            for flag in self.flags
            if flag.dest.endswith("_backend") and (flag.choices or flag.values)
        }

    def as_fork(self, release: str, source: str) -> Snapshot:
        """Return this release as the nearest upstream of an unreadable image: absence is UNKNOWN."""
        return replace(self, release=release, source=source, sha256="", complete=False, fork=True)


def release_id(engine: str, version: str) -> str:
    """Make the file stem of a release: `sglang`, `0.5.10.post1` -> `sglang_0_5_10_post1`."""
    return f"{engine}_{version}".replace(".", "_").replace("-", "_").replace("+", "_")


@cache
def snapshot_for(release: str, folder: Path = SNAPSHOTS) -> Snapshot | None:
    """Read the committed snapshot of a release id, once per process; None where there is none."""
    path = folder / f"{release}.json"
    if path.is_file():
        return parse_snapshot(path.read_text(encoding="utf-8"), folder)
    # a fork's image cannot be opened here: its nearest upstream stands in, and absence proves nothing
    fork = json.loads(FORKS.read_text(encoding="utf-8")).get(release) if FORKS.is_file() else None
    if fork is None:
        return None
    upstream = snapshot_for(fork["nearest"], folder)
    return upstream.as_fork(release, fork["why"]) if upstream else None


def list_releases(folder: Path = SNAPSHOTS) -> tuple[str, ...]:
    """Release ids that have a file of their own."""
    return tuple(sorted(path.stem for path in folder.glob("*.json") if path.name != FORKS.name))


def parse_snapshot(text: str, folder: Path = SNAPSHOTS) -> Snapshot:
    """Snapshot from its JSON text; blocks that it shares with other releases come from `folder`."""
    # committed by us, so a malformed file is a bug, not bad input
    raw = json.loads(text)
    shared = blocks_path(folder, raw["engine"])
    for name, addresses in raw.pop("shared", {}).items():
        part, _, key = name.partition(" ")
        if key:
            raw.setdefault(part, {})[key] = expand_blocks(addresses, shared)
        else:
            raw[part] = expand_blocks(addresses, shared)
    for name in FLAGS:
        raw[name] = tuple(_make_flag(entry) for entry in raw.get(name, ()))
    for name in NAMES:
        raw[name] = frozenset(_split_words(raw.get(name, ())))
    raw["config_keys"] = {scope: frozenset(_split_words(names)) for scope, names in raw.get("config_keys", {}).items()}
    raw |= {name: tuple(raw.get(name, ())) for name in ("requires", "read")}
    raw["parsers"] = {kind: tuple(_split_words(names)) for kind, names in raw.get("parsers", {}).items()}
    return Snapshot(**raw)


def format_snapshot(snapshot: Snapshot) -> str:
    """Format the whole snapshot as one JSON text with one flag a line, so that two releases can be compared by eye."""
    lists = {name: [_dump_value(_drop_defaults(flag)) for flag in getattr(snapshot, name)] for name in FLAGS}
    sets = {name: _wrap_words(sorted(getattr(snapshot, name))) for name in NAMES}
    keys = {scope: _wrap_words(sorted(names)) for scope, names in sorted(snapshot.config_keys.items())}
    return _format_snapshot({**_list_head(snapshot), **sets, "config_keys": keys}, lists)


def save_snapshot(snapshot: Snapshot, folder: Path = SNAPSHOTS) -> Path:
    """Write a release's own file, and what it shares to the engine's blocks; blocks that nobody names are dropped."""
    parts = _parts(snapshot)
    shared = {name: " ".join(address_block(text) for text in texts) for name, texts in parts.items() if texts}
    path = folder / f"{snapshot.release}.json"
    blocks = blocks_path(folder, snapshot.engine)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(_format_snapshot({**_list_head(snapshot), "shared": shared}, {}), encoding="utf-8")
    held = {**read_blocks(blocks), **{address_block(text): text for texts in parts.values() for text in texts}}
    # after the release's own file: only then do all files name what must stay
    write_blocks(blocks, (held[key] for key in _read_named_addresses(folder, snapshot.engine) if key in held))
    return path


def _parts(snapshot: Snapshot) -> dict[str, list[str]]:
    """List what releases share, as JSON texts: each flag, and each run of the long sets."""
    parts = {name: [_dump_value(_drop_defaults(flag)) for flag in getattr(snapshot, name)] for name in FLAGS}
    parts |= {name: [_dump_value(" ".join(run)) for run in cut_runs(getattr(snapshot, name))] for name in NAMES}
    return parts | {
        f"config_keys {scope}": [_dump_value(" ".join(run)) for run in cut_runs(names)]
        for scope, names in sorted(snapshot.config_keys.items())
    }


def _read_named_addresses(folder: Path, engine: str) -> set[str]:
    """Addresses that any release of the engine names."""
    raws = (json.loads((folder / f"{release}.json").read_text(encoding="utf-8")) for release in list_releases(folder))
    texts = (text for raw in raws if raw["engine"] == engine for text in raw.get("shared", {}).values())
    return {key for text in texts for key in text.split()}


def _list_head(snapshot: Snapshot) -> dict[str, Any]:
    """Everything that a release has for itself."""
    head = _drop_defaults(snapshot, skip=(*FLAGS, "parsers", "config_keys", *NAMES))
    return {**head, "parsers": {kind: " ".join(names) for kind, names in sorted(snapshot.parsers.items())}}


def _format_snapshot(head: Mapping[str, Any], lists: Mapping[str, Sequence[str]]) -> str:
    lines = [f" {json.dumps(key)}: {_format_value(value)}" for key, value in head.items() if value not in ([], {}, "")]
    for name, flags in lists.items():
        if flags:
            lines.append(f' "{name}": [\n' + ",\n".join(f"  {flag}" for flag in flags) + "\n ]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _make_flag(entry: dict[str, Any]) -> Flag:
    for name in ("options", "choices", "values", "listed"):
        if isinstance(entry.get(name), list):
            entry[name] = tuple(entry[name])
    entry.setdefault("options", ())
    if entry.get("keys"):
        entry["keys"] = {k: tuple(v) if v is not None else None for k, v in entry["keys"].items()}
    return Flag(**entry)


def _drop_defaults(item: Any, skip: Iterable[str] = ()) -> dict[str, Any]:
    """Keep the fields that differ from their default, in declaration order."""
    out: dict[str, Any] = {}
    for spec in fields(item):
        value = getattr(item, spec.name)
        default = spec.default_factory() if spec.default_factory is not MISSING else spec.default
        if spec.name not in skip and value not in (default, ()):
            out[spec.name] = value
    return out


def _split_words(value: Any) -> list[str]:
    """Long name lists are stored as lines of space-separated words: compact, and still a readable diff."""
    lines = [value] if isinstance(value, str) else value
    return [word for line in lines for word in line.split()]


def _wrap_words(words: Iterable[str], width_chars: int = 110) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= width_chars:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _dump_value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _format_value(value: Any) -> str:
    """Format lists and objects with one entry a line."""
    if isinstance(value, list | tuple) and len(value) > 1:
        return "[\n" + ",\n".join(f"  {_dump_value(entry)}" for entry in value) + "\n ]"
    if isinstance(value, dict) and value:
        entries = (f"  {_dump_value(key)}: {_dump_value(entry)}" for key, entry in value.items())
        return "{\n" + ",\n".join(entries) + "\n }"
    return _dump_value(value)
