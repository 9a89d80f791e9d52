"""Removes secrets before a string reaches evidence, JUnit or pages.

Two nets. Registered values (an API key made for a launch, secrets of the environment) are removed everywhere, in each
form in which they can be printed (reports.evidence.secret_values). Texts with the shape of a secret are removed without
registration (reports.evidence.secret_shapes). Numbers are not changed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from mmap import mmap
from pathlib import Path
from typing import Any, Final

from matrix.errors import ConfigError, Problem
from reports.evidence import kept
from reports.evidence.secret_shapes import ANSI, CAPITALS, FLAG, SMALL, find_secret_spans, merge_spans
from reports.evidence.secret_values import ESCAPED, SHORTEST, SPELT, compile_broken, compile_forms, compile_spelt

HIDDEN: Final = kept.HIDDEN
WINDOW_BYTES: Final = 1 << 20  # of a file at once
OVERLAP_BYTES: Final = 1 << 16  # a private key fits
SHORT_CHARS: Final = 256  # names, checks, numbers: what is kept of them takes 2 MB at most
SECRET_NAME = re.compile(rf"{CAPITALS}|(?i:{SMALL}|(?:proxy-)?authorization|(?:set-)?cookie|x[_-]api[_-]key)")
SECRET_FLAG = re.compile(FLAG)
SWITCHES: Final = re.compile(r"(?i)|\d{1,5}|true|false|yes|no|on|off|none|null")  # values that nobody keeps secret
_secrets: set[str] = set()
_ANY: Final = re.compile("")
_compiled: list[tuple[re.Pattern[str], list[re.Pattern[str]]]] = []  # a cheap sign of what is looked for, and that


def register_secrets(*values: str) -> None:
    """Remember values that this process must never write. Values shorter than `SHORTEST` characters are ignored."""
    _secrets.update(v for v in values if len(v) >= SHORTEST and HIDDEN not in v)
    plain = compile_forms(_secrets)
    made = ((_ANY, [plain] if plain else []), (ESCAPED, compile_broken(_secrets)), (SPELT, compile_spelt(_secrets)))
    _compiled[:] = [(sign, patterns) for sign, patterns in made if patterns]


def register_environment(env: Mapping[str, str], ordinary: Callable[[str], str] = lambda value: "") -> None:
    """Remember the values of variables with secret names, e.g. HF_TOKEN.

    `ordinary` says what of this project a value is part of (`reports.evidence.vocabulary.find_ordinary`): hiding such a
    value would rewrite cells, tests and verdicts.

    Raises:
        ConfigError: values that are ordinary or too short to be hidden, by the names of their variables.
    """
    wrong = []
    for name, value in env.items():
        if not is_secret_variable(name) or SWITCHES.fullmatch(value) or _is_path(value):
            continue
        if len(value) < SHORTEST:
            few = f"its name says secret, and {len(value)} characters are too few to be hidden wherever they stand"
            wrong.append(Problem(name, 0, "", f"{few}: unset it for this run"))
        elif word := ordinary(value):
            wrong.append(
                Problem(
                    name,
                    0,
                    "",
                    f"its name says secret, and its value is part of {word}: hiding it would"
                    " rewrite results. Unset or rename it for this run",
                )
            )
        else:
            register_secrets(value)
    if wrong:
        raise ConfigError(wrong)


def _is_path(value: str) -> bool:
    """Return whether the value is a path. A variable may name the file that holds a secret; the path itself is no
    secret."""
    return os.path.sep in value and os.path.exists(value)  # noqa: PTH110  any text, also one that no path can be


def is_secret_variable(name: str) -> bool:
    """Return whether an environment variable has the name of a secret, in upper or lower case."""
    return re.fullmatch(CAPITALS, name.upper()) is not None


def forget_secrets() -> None:
    """Forget every registered value (tests)."""
    _secrets.clear()
    _compiled.clear()


def redact_text(value: str) -> str:
    """Remove secrets from a text."""
    for sign, patterns in _compiled:
        if sign.search(value):
            for pattern in patterns:
                value = pattern.sub(HIDDEN, value)
    value = _without_shapes(value)
    if "\x1b" in value and (plain := ANSI.sub("", value)) != (cleaned := _without_shapes(plain)):
        return cleaned  # colours inside of a secret: it goes, and they with it
    return value


def holds_value(value: str) -> bool:
    """Return whether a text contains a registered secret, in any form in which it can be printed."""
    return any(pattern.search(value) for _, patterns in _compiled for pattern in patterns)


def _without_shapes(value: str) -> str:
    return _without_shapes_once(value) if len(value) <= SHORT_CHARS else _cut_shapes(value)


@lru_cache(maxsize=8192)
def _without_shapes_once(value: str) -> str:
    """Names of fields, checks and tests come thousands of times in one run; what a shape is does not change in it."""
    return _cut_shapes(value)


def _cut_shapes(value: str) -> str:
    pieces, at = [], 0
    for start, end in merge_spans(find_secret_spans(value)):
        pieces += [value[at:start], HIDDEN]
        at = end
    return "".join([*pieces, value[at:]]) if pieces else value


def redact_file(path: Path) -> None:
    """Overwrite secrets in a file in place, so that a writer at its end is not disturbed and no space is needed. A
    file that cannot be changed is left as it is."""
    with suppress(OSError, ValueError), path.open("r+b") as dirty, mmap(dirty.fileno(), 0) as content:
        for at in range(0, len(content), WINDOW_BYTES):  # an empty file: ValueError
            start, end = max(0, at - OVERLAP_BYTES), at + WINDOW_BYTES
            window = content[start : end + OVERLAP_BYTES].decode("latin-1")  # a character a byte
            for first, last in merge_spans(_all_spans(window)):
                if start + first < end:  # else the next window sees it whole; half of one would not be known again
                    content[start + first : start + last] = b"*" * (last - first)


def _all_spans(window: str) -> Iterator[tuple[int, int]]:
    values = {v.encode(errors="surrogatepass").decode("latin-1") for v in _secrets}
    plain = compile_forms(values | _secrets)
    for pattern in (*([plain] if plain else []), *compile_broken(values), *compile_spelt(values)):
        yield from (m.span() for m in pattern.finditer(window))
    yield from find_secret_spans(window)


def redact_files(paths: Iterable[Path]) -> int:
    """Overwrite secrets in every file below the paths; return the number of files.

    Kept replies are left alone: nothing secret went into them, and a file that is named by its content cannot change.
    """
    below = (f for p in paths for f in (sorted(p.rglob("*")) if p.is_dir() else [p]))
    files = [f for f in below if f.is_file() and not f.is_symlink() and not kept.is_kept_file(f)]
    for each in files:
        redact_file(each)
    return len(files)


def redact_data(value: Any) -> Any:
    """Remove secrets from JSON data: keys, values, and the values of keys and flags that name a secret."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            redact_text(k): HIDDEN if isinstance(v, str) and SECRET_NAME.fullmatch(k) else redact_data(v)
            for k, v in value.items()
        }
    if isinstance(value, Sequence):
        return _redact_argv(value)
    return value


def _redact_argv(value: Sequence[Any]) -> list[Any]:
    before = ("", *value)
    hide = (isinstance(b, str) and SECRET_FLAG.fullmatch(b) is not None for b in before)
    return [HIDDEN if h and isinstance(v, str) else redact_data(v) for v, h in zip(value, hide, strict=False)]


def redact_record(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Remove secrets from an evidence record. Its own field names and its kind are ours, and stay."""
    return {k: v if k in ("kind", "t", "run") else redact_data(v) for k, v in fields.items()}
