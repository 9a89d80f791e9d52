"""What can be added from flags, and into which file: a flag for each key that `matrix.model` declares."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from types import UnionType
from typing import Any, Final, get_args, get_type_hints

from cli.adding.explained import explain_flag
from cli.adding.values import merge_mapping, parse_value
from matrix.model import Release
from matrix.preflight.patch import PatchFile
from matrix.recorded import Claim, KnownFailure

FILLED: Final = {"engine", "added", "review_by"}  # by other words of the line, or by the clock
REVIEW_AFTER: Final = timedelta(days=90)  # of a known failure, where --review-by is not given


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryKind:
    """One kind. `place` is a file below matrix/; `{id}` and `{engine}` are filled in. `entries`: a list's key in it."""

    cls: type[Any]
    place: str
    help: str
    entries: str = ""
    left_out: frozenset[str] = frozenset()  # keys that the file's own name says


KINDS: Final[Mapping[str, EntryKind]] = {
    "claim": EntryKind(cls=Claim, place="claims/{id}.yaml", help="a published table of numbers"),
    "known-failure": EntryKind(
        cls=KnownFailure, place="known_failures.yaml", entries="known_failures", help="a deviation that is expected"
    ),
    "release": EntryKind(
        cls=Release,
        place="axes/engines/{engine}/{id}.yaml",
        help="a release of an engine; --like copies what it can do from another",
        left_out=frozenset({"engine"}),
    ),
    "patch": EntryKind(cls=PatchFile, place="patches/{id}/patch.yaml", help="a patch of one file of a wheel"),
}


def add_flags(parser: argparse.ArgumentParser, kind: EntryKind) -> None:
    """One flag for each key of the kind: mappings take `key=value` several times, the rest one word of text or YAML."""
    hints = get_type_hints(kind.cls)
    # a patch's entry has no id: its folder's name is it
    if "id" not in hints:
        parser.add_argument("--id", required=True, help="the id, and the name of the folder")
    for field in fields(kind.cls):
        mapping, repeated = _is_mapping(hints[field.name]), _is_repeated(hints[field.name])
        form = "key=value, or YAML in {}" if mapping else "YAML in {} or a word, for each" if repeated else "text"
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            nargs="+" if mapping or repeated else None,
            action="extend" if mapping or repeated else "store",
            metavar="KEY=VALUE" if mapping else "VALUE",
            help=explain_flag(kind.cls, field, hints[field.name], form, required=field.name not in FILLED),
        )


def read_entry(kind: EntryKind, options: argparse.Namespace) -> dict[str, Any]:
    """Read the entry from the flags that were given, in the order of the kind's keys.

    Raises:
        ConfigError: a word that is no value of its key.
    """
    hints = get_type_hints(kind.cls)
    entry: dict[str, Any] = {}
    for field in fields(kind.cls):
        given = getattr(options, field.name)
        if given is None or field.name in kind.left_out:
            continue
        option = f"--{field.name.replace('_', '-')}"
        if _is_mapping(hints[field.name]):
            entry[field.name] = merge_mapping(option, given)
        elif _is_repeated(hints[field.name]):
            entry[field.name] = [parse_value(option, word) for word in given]
        else:
            # a key that is text stays as typed: a version 2.10 read as YAML would become 2.1
            entry[field.name] = given if hints[field.name] is str else parse_value(option, given)
    return _with_dates(kind, entry)


def _with_dates(kind: EntryKind, entry: dict[str, Any]) -> dict[str, Any]:
    if kind.cls is KnownFailure:
        now = datetime.now(UTC).date()
        entry = {"added": now, "review_by": now + REVIEW_AFTER, **entry}
        # dates that were filled in came first above; the file keeps the order in which the class declares its keys
        order = [field.name for field in fields(KnownFailure)]
        return {name: entry[name] for name in order if name in entry}
    return entry


def _is_mapping(hint: Any) -> bool:
    """Whether the key holds a mapping, or a part that is one (`fails:`, `source:` of a known failure)."""
    parts = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return "Mapping[" in str(hint) or any(is_dataclass(part) for part in parts)


def _is_repeated(hint: Any) -> bool:
    return str(hint).startswith("tuple[")
