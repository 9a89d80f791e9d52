"""Secrets never reach evidence, JUnit or pages: every string goes through here on its way in.

Two nets. Values registered as secret (an API key made for a launch, secrets of the environment) are removed wherever
they stand. Shapes that are secrets by themselves are removed unregistered: Authorization headers, `hf_...` and `sk-...`
tokens, passwords in URLs, values of `--api-key` and of names like `HF_TOKEN`. Numbers are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from typing import Any

HIDDEN = "***"
SHORTEST = 6  # characters; anything shorter cannot be told from ordinary text
SECRET_NAME = re.compile(r"[A-Z][A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD)|(?:x-)?api[_-]key|authorization|password")
SECRET_FLAG = re.compile(r"--(?:[a-z0-9-]+-)?(?:api-key|hf-token|auth-token|password|secret)")
SHAPES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic|token)\s+)?)[^\s\"',}]+", rf"\g<1>{HIDDEN}"),
        (r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}", rf"\g<1>{HIDDEN}"),
        (r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{20,}", HIDDEN),  # Hugging Face: hf_ and 34 letters or digits
        (r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{16,}", HIDDEN),  # OpenAI's dialect
        (r"(\b[a-z][a-z0-9+.-]*://)[^/\s@\"']+@", rf"\g<1>{HIDDEN}@"),
        (rf"({SECRET_FLAG.pattern}(?:=|\s+))(?:'[^']*'|\"[^\"]*\"|[^\s'\"]+)", rf"\g<1>{HIDDEN}"),
        (r"(\b[A-Z][A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD)=)(?:'[^']*'|\"[^\"]*\"|[^\s'\"]+)", rf"\g<1>{HIDDEN}"),
    )
)
_secrets: set[str] = set()


def register(*values: str) -> None:
    """Remember values that must never be written by this process. Those below `SHORTEST` characters are ignored."""
    _secrets.update(v for v in values if len(v) >= SHORTEST and HIDDEN not in v)


def register_environment(env: Mapping[str, str]) -> None:
    """Remember the values of variables whose names say that they are secret, e.g. HF_TOKEN."""
    register(*(v for k, v in env.items() if SECRET_NAME.fullmatch(k)))


def forget() -> None:
    """Forget every registered value (tests)."""
    _secrets.clear()


def text(value: str) -> str:
    """The text without secrets."""
    for secret in sorted(_secrets, key=lambda s: (-len(s), s)):
        value = value.replace(secret, HIDDEN)
    for pattern, replacement in SHAPES:
        value = pattern.sub(replacement, value)
    return value


def file(path: Path) -> None:
    """Overwrite registered values in a file that nobody writes any more, byte for byte: a log of many GB takes seconds
    and no space. Shapes are left to `text`; a file that cannot be changed stays as it is."""
    with (
        suppress(OSError, ValueError),
        path.open("r+b") as dirty,
        mmap(dirty.fileno(), 0) as content,
    ):  # empty: ValueError
        for word in sorted((s.encode() for s in _secrets), key=len, reverse=True):
            at = -1
            while (at := content.find(word, at + 1)) >= 0:
                content[at : at + len(word)] = b"*" * len(word)


def data(value: Any) -> Any:
    """JSON data without secrets: keys, values, and the values of keys and flags that name a secret."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {
            text(k): HIDDEN if isinstance(v, str) and SECRET_NAME.fullmatch(k) else data(v) for k, v in value.items()
        }
    if isinstance(value, Sequence):
        return _argv(value)
    return value


def _argv(value: Sequence[Any]) -> list[Any]:
    before = ("", *value)
    hide = (isinstance(b, str) and SECRET_FLAG.fullmatch(b) is not None for b in before)
    return [HIDDEN if h and isinstance(v, str) else data(v) for v, h in zip(value, hide, strict=False)]


def record(fields: Mapping[str, Any]) -> dict[str, Any]:
    """An evidence record without secrets. Its own field names and its kind are ours, and stay."""
    return {k: v if k in ("kind", "t", "run") else data(v) for k, v in fields.items()}
