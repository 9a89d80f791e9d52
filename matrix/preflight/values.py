"""Whether one value passes a flag's type and choices, as argparse and the release behind it would decide."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from matrix.preflight.snapshot import Flag

Kind = Literal[
    "invalid_value", "invalid_choice", "refused_later", "unlisted", "unknown_key", "malformed_json", "unread_choices"
]

# 25.6k, 8K, 1G: suffixes that vLLM and SGLang take (human_readable_int); -1 and auto for --max-model-len.
# Without a suffix the text goes to int(), which takes 131_072.
HUMAN_INT = re.compile(r"\d+(\.\d+)?[kKmMgGtT]|[+-]?\d+(_\d+)*|auto")


class Complaint(NamedTuple):
    """What is wrong with a value, and what would be right."""

    kind: Kind
    value: str
    message: str


def find_complaints(flag: Flag, values: tuple[str, ...]) -> Iterator[Complaint]:
    """Everything wrong with the values of one use."""
    for value in values:
        found = _check_type(flag, value)
        # a value of the wrong type is no choice either: told once
        if found is not None:
            yield found
            continue
        yield from _check_choices(flag, value)
        yield from _check_json(flag, value)


def _check_type(flag: Flag, value: str) -> Complaint | None:
    reads = READERS.get(flag.type)
    if reads is None or reads(value):
        return None
    # the release's own default, written out by somebody's script
    if value in ("None", "") and "None" in (flag.default, *(flag.choices or ())):
        return None
    return Complaint("invalid_value", value, f"{flag.name} wants {flag.type}, got {value!r}")


def _check_choices(flag: Flag, value: str) -> Iterator[Complaint]:
    seen = value.lower().replace("-", "_") if flag.lowers else value
    if flag.choices is not None and seen not in {str(choice) for choice in flag.choices}:
        yield Complaint("invalid_choice", value, f"{flag.name} {value}: choose from {_show_values(flag.choices)}")
    elif flag.choices_unknown:
        yield Complaint("unread_choices", value, f"{flag.name} has choices that its source computes at run time")
    # enforced after parsing, where engines compare without case and let auto and none pass
    elif flag.values is not None and value.lower() not in {"auto", "none", "", *_lower_values(flag.values)}:
        yield Complaint("refused_later", value, f"{flag.name} {value}: not one of {_show_values(flag.values)}")
    elif flag.listed is not None and seen not in {str(choice) for choice in flag.listed}:
        yield Complaint("unlisted", value, f"{flag.name} {value}: the release names {_show_values(flag.listed)}")


def _check_json(flag: Flag, value: str) -> Iterator[Complaint]:
    """Objects: well-formed, and only keys (and closed values) that the release's class has."""
    # a flag that takes JSON often takes a file or a name as well
    if not value.lstrip().startswith("{"):
        return
    try:
        parsed = json.loads(value)
    except ValueError as error:
        yield Complaint("malformed_json", value, f"{flag.name}: not JSON: {error}")
        return
    for key, entry in parsed.items() if flag.keys is not None else ():
        yield from _check_key(flag, key, entry)


def _check_key(flag: Flag, key: str, entry: Any) -> Iterator[Complaint]:
    assert flag.keys is not None
    if key not in flag.keys:
        yield Complaint("unknown_key", key, f"{flag.name}: the release knows no key {key!r}")
        return
    # None: the key is known and takes anything
    allowed = flag.keys[key]
    if allowed is not None and entry is not None and entry not in allowed:
        yield Complaint(
            "invalid_choice", str(entry), f"{flag.name} {key}={entry!r}: choose from {_show_values(allowed)}"
        )


def _show_values(values: tuple[Any, ...]) -> str:
    return ", ".join(map(str, values))


def _lower_values(values: tuple[Any, ...]) -> set[str]:
    return {str(value).lower() for value in values}


def _is_human_int(value: str) -> bool:
    return HUMAN_INT.fullmatch(value.strip()) is not None


def _is_int(value: str) -> bool:
    return re.fullmatch(r"\s*[+-]?\d+(_\d+)*\s*", value) is not None


def _is_float(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _is_json(value: str) -> bool:
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


READERS: Mapping[str, Callable[[str], bool]] = {
    "int": _is_int,
    "float": _is_float,
    "human_int": _is_human_int,
    "json": _is_json,
}
