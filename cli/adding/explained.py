"""What a flag of `add` means, from the class that declares its key: the comment behind it, its words, its parts."""

from __future__ import annotations

import inspect
import io
import tokenize
from dataclasses import MISSING, Field, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, get_args, get_origin


def read_comments(cls: type[Any]) -> dict[str, str]:
    """Return key -> the comment on its line. A key without one is absent."""
    names, found, key = {field.name for field in fields(cls)}, dict[str, str](), ""
    for token in tokenize.generate_tokens(io.StringIO(inspect.getsource(cls)).readline):
        # a name counts where it opens its line: types and defaults behind the colon are names of others
        first = token.line.split(":")[0].strip()
        if token.type == tokenize.NAME and token.string == first and first in names:
            key = first
        elif token.type == tokenize.COMMENT and key:
            # the first: a field over several lines may have more, about its parts
            found.setdefault(key, token.string.lstrip("# "))
        elif token.type == tokenize.NEWLINE:
            key = ""
    return found


def explain_flag(cls: type[Any], field: Field[Any], hint: Any, form: str, *, required: bool) -> str:
    """Return the help of one flag, e.g. `who looks again by review_by; required`. argparse reads `%` as its own."""
    parts = [read_comments(cls).get(field.name, form), _list_words(hint), _list_keys(hint)]
    needed = required and field.default is MISSING and field.default_factory is MISSING
    return "; ".join([*(part for part in parts if part), *(["required"] if needed else [])]).replace("%", "%%")


def _list_words(hint: Any) -> str:
    """List the words that a key takes, where it takes certain ones."""
    words = [word for part in _split_union(hint) if get_origin(part) is Literal for word in get_args(part)]
    return f"one of {', '.join(map(str, words))}" if words else ""


def _list_keys(hint: Any) -> str:
    """List the keys of a part that is a mapping of its own."""
    keys = [field.name for part in _split_union(hint) if is_dataclass(part) for field in fields(part)]
    return f"keys: {', '.join(dict.fromkeys(keys))}" if keys else ""


def _split_union(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if isinstance(hint, UnionType) else (hint,)
