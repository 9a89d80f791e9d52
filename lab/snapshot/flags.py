"""Convert the keyword arguments of one `add_argument` call to a Flag. Values are AST nodes or plain objects."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from lab.snapshot.evaluate import UNKNOWN, Scope, evaluate_node
from matrix.preflight.snapshot import Flag

# Callables that engines give to `type=`, by what they accept; others keep the release's own name.
TYPES = {
    "json.loads": "json",
    "optional_type(json.loads)": "json",
    "parse_type(json.loads)": "json",
    "json_list_type": "json",
    "optional_type(str)": "str",
    "optional_type(int)": "int",
    "nullable_str": "str",
    "human_readable_int": "human_int",
    "human_readable_int_or_auto": "human_int",
    "_positive": "int",
    "Path": "str",  # of our own fixtures.llamacpp
}
LOWERING = "lambda s: s.lower().replace('-', '_')"
INVERSES = {"--enable-": "--disable-", "--disable-": "--enable-"}
TEXT_CHARS = 110  # of a deprecation note: enough to name the replacement


def flag_of(options: tuple[str, ...], keywords: Mapping[str, Any], scope: Scope, *, inverse_prefixes: bool) -> Flag:
    """Return one flag. Mark choices that cannot be read as unknown, which forbids a verdict about its value."""
    positional = not options[0].startswith("-")
    action, nargs = _read_action(keywords, scope)
    choices = _evaluate_value(keywords.get("choices"), scope)
    lowers = _unparse_node(keywords.get("type")) == LOWERING
    return Flag(
        options=() if positional else _list_options(options, action, inverse_prefixes=inverse_prefixes),
        dest=_read_dest(options, keywords, scope),
        action=action,
        nargs=nargs,
        type="str" if lowers else _read_type(keywords.get("type")),
        choices=_make_tuple(choices),
        choices_unknown="choices" in keywords and choices is UNKNOWN,
        values=_make_tuple(_evaluate_value(keywords.get("values"), scope)),
        listed=_make_tuple(_evaluate_value(keywords.get("listed"), scope)),
        keys=keywords.get("keys"),
        lowers=lowers,
        default=_read_default(keywords, scope),
        deprecated=_read_deprecation(keywords, scope),
        required=_evaluate_value(keywords.get("required"), scope) is True,
    )


def _list_options(options: tuple[str, ...], action: str, *, inverse_prefixes: bool) -> tuple[str, ...]:
    """Return option strings as the parser indexes them: BooleanOptionalAction adds `--no-x`."""
    if action != "bool_optional":
        return options
    negated = tuple("--no-" + option[2:] for option in options if option.startswith("--"))
    inverse = tuple(
        to + option.removeprefix(prefix)
        for option in options
        for prefix, to in INVERSES.items()
        if inverse_prefixes and option.startswith(prefix)
    )
    return (*options, *negated, *inverse)


def _read_action(keywords: Mapping[str, Any], scope: Scope) -> tuple[str, int | str | None]:
    """Return action and nargs. The retired-flag actions of SGLang take no value unless they state one."""
    nargs = _evaluate_value(keywords.get("nargs"), scope)
    # argparse's default of one word: what a computed nargs means is not known, and a value is the usual case
    given = None if nargs is UNKNOWN else nargs
    text = _unparse_node(keywords.get("action"))
    if text in ("", "store", "append"):
        return text or "store", given
    if text in ("store_true", "store_false", "bool_optional"):
        return text, None
    if text.endswith("BooleanOptionalAction"):
        return "bool_optional", None
    # with a message it refuses, without one it is taken and does nothing
    if text.endswith("DeprecatedAction"):
        return ("error" if "error_message" in keywords else "store_true"), None
    if text.endswith(("StoreTrueAction", "StoreConstAction")) and "nargs" not in keywords:
        return "store_true", None
    return "store", given


def _read_dest(options: tuple[str, ...], keywords: Mapping[str, Any], scope: Scope) -> str:
    given = _evaluate_value(keywords.get("dest"), scope)
    if isinstance(given, str):
        return given
    long = next((option for option in options if option.startswith("--")), options[0])
    return long.lstrip("-").replace("-", "_")


def _read_type(node: Any) -> str:
    text = _unparse_node(node) or "str"
    # a release's own function: any value passes here, and judging it is left to the release
    return "function" if text.startswith("lambda") else TYPES.get(text, text)


def _read_default(keywords: Mapping[str, Any], scope: Scope) -> str:
    node = keywords.get("default")
    if isinstance(node, ast.expr):
        value = evaluate_node(node, scope)
        return repr(value) if isinstance(value, str | int | float | None) else ast.unparse(node)
    if "default" in keywords and keywords["default"] is None:
        return "None"
    return str(keywords.get("default_text", ""))


def _read_deprecation(keywords: Mapping[str, Any], scope: Scope) -> str:
    """Return the release's words on using the flag: its replacement, its error or its help text."""
    for key in ("new_flag", "error_message"):
        text = _evaluate_value(keywords.get(key), scope)
        if isinstance(text, str):
            return (f"use {text}" if key == "new_flag" else text)[:TEXT_CHARS]
    text = _read_plain(keywords.get("help"), scope)
    marked = (
        "Deprecated" in _unparse_node(keywords.get("action"))
        or _evaluate_value(keywords.get("deprecated"), scope) is True
    )
    # at the beginning, or as a statement: help that mentions another, deprecated flag says nothing of this one
    if marked or re.match(r"\W*(note: .*)?deprecated|.*(is|are) deprecated", text, re.IGNORECASE):
        return " ".join(text.split())[:TEXT_CHARS] or "deprecated"
    return ""


def _read_plain(node: Any, scope: Scope) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
    text = _evaluate_value(node, scope)
    return text if isinstance(text, str) else ""


def _evaluate_value(node: Any, scope: Scope) -> Any:
    return evaluate_node(node, scope) if isinstance(node, ast.AST) else node


def _make_tuple(value: Any) -> tuple[Any, ...] | None:
    if value is UNKNOWN or not isinstance(value, list | tuple | set | frozenset):
        return None
    # a set has no order of its own, and a snapshot must have the same bytes each time
    return tuple(sorted(value, key=str)) if isinstance(value, set | frozenset) else tuple(value)


def _unparse_node(node: Any) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    return ast.unparse(node) if isinstance(node, ast.AST) else str(node or "")
