"""Names that an engine looks up after its parser let the text through: a connector, an algorithm, a template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from matrix.checking.conditions import decide_condition
from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.settings import Settings
from matrix.errors import find_nearest
from matrix.preflight.snapshot import Snapshot
from matrix.yaml.structure import require_entries

LISTS: Final = Path(__file__).with_name("closed_names.yaml")
NEEDED: Final = {"lists": ("at", "engine", "version", "names", "says", "fact")}
# The file is opened only for lines that give one of these: most do not, and every check pays for a file.
SETTINGS: Final = (
    "draft_algorithm",
    "chat_template",
    "kv_transfer",
    "overrides",
    "executor",
    "compilation",
    "attention_config",
    "kernel_config",
)


@cache
def read_lists() -> tuple[Mapping[str, Any], ...]:
    """Read closed_names.yaml; names written as one text are split."""
    return tuple(
        {**entry, "names": entry["names"].split() if isinstance(entry["names"], str) else entry["names"]}
        for entry in require_entries(LISTS, NEEDED)["lists"]
    )


def judge_names(
    facts: Mapping[str, Any], settings: Settings, snapshot: Snapshot | None = None
) -> Iterator[CheckFinding]:
    """Yield each value of the line that is none of the names which the release has for it."""
    if not any(name in settings.given for name in SETTINGS):
        return
    for listed in read_lists():
        entry = _of_flag(listed, snapshot) if "flag" in listed else listed
        if entry is None:
            continue
        setting = entry["at"].partition(".")[0]
        if not decide_condition({"engine": entry["engine"], "version": entry["version"]}, facts):
            continue
        # `--flag value` as the reader wrote it
        subject, line = settings.written(setting), settings.line(setting)
        for value in _list_values(entry, facts):
            if _is_named(value, entry):
                continue
            at = entry["at"].rpartition(".")[2] if "." in entry["at"] else subject.split(" ")[0]
            more = {"value": value, "at": at, "says": entry["says"], "place": entry["fact"]}
            more["instead"] = _suggest_name(value, entry)
            yield make_finding("name_of_nothing", facts, subject, level=entry.get("level"), line=line, **more)


def _of_flag(entry: Mapping[str, Any], snapshot: Snapshot | None) -> Mapping[str, Any] | None:
    """Return an entry whose names are those of a flag; None where the release's text does not list them."""
    flag = snapshot.options.get(entry["flag"]) if snapshot is not None else None
    names = (flag.choices or flag.values) if flag is not None else None
    if not names:
        return None
    any_case = entry.get("any_case", False)
    return {**entry, "names": sorted({name.upper() if any_case else name for name in names})}


def _list_values(entry: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """Return what the line gives: the value itself, and those of a list of such objects; none that is brought along."""
    nested, last = facts["nested"], entry["at"].rpartition(".")[2]
    own = nested.get(entry["at"]) if "." in entry["at"] else facts.get(entry["at"])
    many = nested.get(entry["each"]) if "each" in entry else None
    module = entry.get("without", "").rpartition(".")[2]
    found: list[Any] = [] if module and nested.get(entry["without"]) is not None else [own]
    if isinstance(many, list):
        found += [one.get(last) for one in many if isinstance(one, Mapping) and not one.get(module)]
    return [value for value in found if isinstance(value, str)]


def _is_named(value: str, entry: Mapping[str, Any]) -> bool:
    """Whether the release has the name; a path is none of the names, and nobody here opens it."""
    if entry.get("file") and any(mark in value for mark in "/.{\n\\"):
        return True
    return (value.upper() if entry.get("any_case") else value) in entry["names"]


def _suggest_name(value: str, entry: Mapping[str, Any]) -> str:
    """Return the sentence that names what to write: a former name's successor, the nearest, or all of them."""
    seen = value.upper() if entry.get("any_case") else value
    if "remedy" in entry:
        return str(entry["remedy"])
    near = entry.get("instead", {}).get(seen) or find_nearest(seen, entry["names"])
    return f"Write {near}" if near else f"Write one of {', '.join(entry['names'])}"
