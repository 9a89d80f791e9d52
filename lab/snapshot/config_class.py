"""Read vLLM's flags: argparse arguments computed from config dataclass fields (engine/arg_utils.py, get_kwargs).

The rules below are vLLM's, in its order, restated over annotations instead of runtime types.
A Literal beside `str` is only a hint to the reader there (metavar): it becomes `listed`, and any value passes.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from lab.snapshot.evaluate import ClassRef, Scope, list_members
from lab.snapshot.hints import Hint, RecordField, default_text, flatten_annotation, record_fields

Arguments = dict[str, Any]

# Fields that vLLM parses with suffixes such as 8k; the union over the releases read (0.16.0, 0.26.0, 0.33.0).
HUMAN_INT = {
    "max_model_len",
    "max_num_batched_tokens",
    "max_num_scheduled_tokens",
    "kv_cache_memory_bytes",
    "safetensors_prefetch_block_size",
    "max_num_queued_tokens",
}


def kwargs_of(ref: ClassRef, scope: Scope) -> dict[str, Arguments]:
    """Return the argparse arguments of every field of a config class."""
    return {field.name: _field_kwargs(field, scope) for field in record_fields(ref, scope)}


def _field_kwargs(field: RecordField, scope: Scope) -> Arguments:
    here = Scope(scope.package, field.module)
    hints = flatten_annotation(field.annotation, here)
    return {"default_text": default_text(field.default), **_by_type(field.name, hints, here)}


def _by_type(name: str, hints: tuple[Hint, ...], scope: Scope) -> Arguments:
    # from here on the order is vLLM's own: a class before a switch, a switch before a Literal
    kinds = {hint.kind: hint for hint in hints}
    if "class" in kinds:
        return {"type": "json", "keys": keys_of(kinds["class"], scope)}
    # a switch that may carry a name (--hf-token)
    if set(kinds) == {"bool", "str", "None"}:
        return {"type": "str", "nargs": "?"}
    if "bool" in kinds:
        return {"action": "bool_optional"}
    if "literal" in kinds:
        return _literal_arguments(hints, optional="None" in kinds)
    for kind in ("tuple", "list", "set"):
        if kind in kinds:
            return _collection_arguments(kinds[kind])
    if "int" in kinds:
        return {"type": "human_int" if name in HUMAN_INT else "int"}
    if "float" in kinds:
        return {"type": "float"}
    if "dict" in kinds:
        # a dict beside text may come as the name of a file
        return {"type": "str" if kinds.keys() & {"str", "other"} else "json"}
    if "enum" in kinds:
        return {"type": "str", "values": _enum_values(kinds["enum"], scope)}
    return {"type": "str"}


def _literal_arguments(hints: tuple[Hint, ...], *, optional: bool) -> Arguments:
    values = next(hint.values for hint in hints if hint.kind == "literal")
    arguments: Arguments = {"type": type(values[0]).__name__}
    ordered = sorted(values)
    # the words are only suggested: str beside them takes any other
    if any(hint.kind == "str" for hint in hints):
        return arguments | {"listed": ordered}
    return arguments | {"choices": [*ordered, "None"] if optional else ordered}


def _collection_arguments(hint: Hint) -> Arguments:
    element = hint.element[0] if len(hint.element) == 1 else Hint("str")
    # a tuple of fixed length takes exactly so many words
    arguments: Arguments = {"nargs": len(hint.values) if hint.values else "+"}
    if element.kind == "literal":
        return arguments | {"type": type(element.values[0]).__name__, "choices": sorted(element.values)}
    return arguments | {"type": element.kind if element.kind in ("int", "float") else "str"}


def _enum_values(hint: Hint, scope: Scope) -> list[str]:
    """Return member names: vLLM looks enum options up by name, upper-cased, after parsing; of an IntEnum the numbers,
    which is what pydantic makes a member of."""
    assert hint.ref is not None
    members = list_members(hint.ref, scope)
    whole = any("IntEnum" in ast.unparse(base) for base in hint.ref.node.bases)
    return [str(member.value) if whole else member.name for member in members]


def keys_of(hint: Hint, scope: Scope) -> Mapping[str, tuple[Any, ...] | None]:
    """Return the keys that a JSON value of this class may have, each with its closed set of values, if any."""
    assert hint.ref is not None
    keys: dict[str, tuple[Any, ...] | None] = {}
    for field in record_fields(hint.ref, scope):
        hints = flatten_annotation(field.annotation, Scope(scope.package, field.module))
        literals = [hint for hint in hints if hint.kind == "literal"]
        closed = literals and all(hint.kind in ("literal", "None") for hint in hints)
        keys[field.name] = tuple(v for hint in literals for v in hint.values) if closed else None
    return keys
