"""Read the keys of a configuration file out of pydantic classes: TensorRT-LLM's `LlmArgs`, which `--config` fills.

    kv_cache_config.dtype                       str, any value
    moe_config.backend                          one of a Literal
    speculative_config[MTP].relaxed_topk        a key of one variant: the class that `decoding_type: MTP` selects

A key is a `Flag` whose options are its dotted names. Keys below one whose class was not understood stay open.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from lab.snapshot.evaluate import UNKNOWN, ClassRef, Scope, evaluate_node, list_members
from lab.snapshot.hints import Hint, RecordField, default_text, flatten_annotation, record_fields
from lab.snapshot.source import Module, WheelSource
from matrix.preflight.snapshot import Flag

OPEN: Final = "any"  # of a key whose values, or keys below it, are not judged
PLAIN: Final = ("bool", "int", "float", "str")
COLLECTIONS: Final = ("list", "tuple", "set")
TAGS: Final = ("decoding_type", "algorithm", "type", "mode")  # class attributes that select a variant
DEPTH: Final = 5


@dataclass(frozen=True)
class Shape:
    """What an annotation says: a type name, a closed set of values, and the classes below the key."""

    type: str
    choices: tuple[Any, ...] | None = None
    classes: tuple[ClassRef, ...] = ()
    nullable: bool = False


def read_file_keys(package: WheelSource, ref: ClassRef, also: Mapping[str, None]) -> tuple[Flag, ...]:
    """Return every key below a class; `also`: keys that the program takes out of the file itself, values open."""
    found = {flag.dest: flag for flag in _keys_of(package, ref, "", DEPTH)}
    for name in also:
        # what the class declares is known better than what a function takes out by name
        found.setdefault(name, Flag(options=(name,), dest=name, type=OPEN))
    return tuple(found.values())


def read_taken(package: WheelSource, module: Module, names: tuple[str, ...]) -> dict[str, None]:
    """Return the keys that functions of a module take out of the file: string keys of a dict or of `.pop("x")`."""
    found: dict[str, None] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef) and node.name in names:
            for inner in ast.walk(node):
                found |= dict.fromkeys(_taken(inner))
    return found


def _taken(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=owner), attr="pop" | "get"), args=[ast.Constant(value=name), *_]
        ):
            if "args" in owner and isinstance(name, str):
                yield name
        case ast.Assign(targets=[ast.Name(id="field_mapping")], value=ast.Dict(keys=keys)):
            yield from (str(k.value) for k in keys if isinstance(k, ast.Constant))
        case _:
            return


def _keys_of(package: WheelSource, ref: ClassRef, prefix: str, depth: int) -> Iterator[Flag]:
    for field in record_fields(ref, Scope(package, ref.module)):
        # pydantic's own settings of a class, not a key of the file
        if field.name.startswith("_") or field.name == "model_config":
            continue
        yield from _iterate_key_flags(package, field, prefix, depth)


def _iterate_key_flags(package: WheelSource, field: RecordField, prefix: str, depth: int) -> Iterator[Flag]:
    here = Scope(package, field.module)
    shape = _read_shape(package, flatten_annotation(field.annotation, here), depth)
    spelt = dict.fromkeys((field.name, *_aliases(field.default)))
    names = tuple(f"{prefix}{name}" for name in spelt if not name.startswith("_"))
    variants, lowers = _read_variants(shape.classes, here) if len(shape.classes) > 1 else ({}, False)
    tag = next(iter(variants.values()))[0] if variants else ""
    yield Flag(
        options=names,
        dest=names[0],
        type=shape.type,
        nargs="?" if shape.nullable else None,
        choices=shape.choices,
        keys={tag: tuple(variants)} if variants else None,
        lowers=lowers,
        default=default_text(field.default)[:60],
        deprecated=_deprecated(field.default, here),
    )
    if len(shape.classes) == 1:
        yield from _keys_of(package, shape.classes[0], f"{prefix}{field.name}.", depth - 1)
    yield from _keys_of_variants(
        package, {name: ref for name, (_, ref) in variants.items()}, f"{prefix}{field.name}", depth
    )


def _keys_of_variants(
    package: WheelSource, variants: Mapping[str, ClassRef], prefix: str, depth: int
) -> Iterator[Flag]:
    """Yield the keys that every variant has alike once, without a variant's name, then those that are its own."""
    held = {name: list(_keys_of(package, ref, "", depth - 1)) for name, ref in variants.items()}
    first, *others = held.values() if held else ([],)
    # whole flags are compared: a key of one name and another type is a variant's own
    common = [flag for flag in first if all(flag in flags for flags in others)]
    yield from (_below(flag, prefix) for flag in common)
    for name, flags in held.items():
        yield from (_below(flag, f"{prefix}[{name}]") for flag in flags if flag not in common)


def _below(flag: Flag, prefix: str) -> Flag:
    return replace(flag, options=tuple(f"{prefix}.{name}" for name in flag.options), dest=f"{prefix}.{flag.dest}")


def _read_shape(package: WheelSource, hints: tuple[Hint, ...], depth: int) -> Shape:
    kinds = {hint.kind: hint for hint in hints}
    nullable = "None" in kinds
    classes = tuple(h.ref for h in hints if h.ref is not None and h.kind != "enum" and _is_model(package, h.ref))
    others = [h for h in hints if h.kind != "None" and h.ref not in classes]
    if classes and depth > 0:
        # a class or something else (text, a path): what stands below cannot be told from the value
        return Shape("dict" if not others else OPEN, classes=classes if not others else (), nullable=nullable)
    closed = [h for h in hints if h.kind in ("literal", "enum")]
    if closed and len(closed) == len(others):
        values = tuple(v for h in closed for v in _list_values(package, h))
        return Shape("str", choices=values or None, nullable=nullable)
    if len(others) == 1 and others[0].kind in (*PLAIN, *COLLECTIONS, "dict"):
        kind = others[0].kind
        return Shape("list" if kind in COLLECTIONS else kind, nullable=nullable)
    return Shape(OPEN, nullable=nullable)


def _list_values(package: WheelSource, hint: Hint) -> tuple[Any, ...]:
    if hint.kind == "literal":
        return hint.values
    assert hint.ref is not None
    members = list_members(hint.ref, Scope(package, hint.ref.module))
    return tuple(m.value if m.value is not UNKNOWN else m.name for m in members)


def _is_model(package: WheelSource, ref: ClassRef, hops: int = 6) -> bool:
    """Whether a class is a pydantic model of the package: `BaseModel` is among its bases' bases."""
    for base in ref.node.bases:
        if "BaseModel" in ast.unparse(base):
            return True
        found = evaluate_node(base, Scope(package, ref.module))
        if hops and isinstance(found, ClassRef) and _is_model(package, found, hops - 1):
            return True
    return False


def _read_variants(classes: tuple[ClassRef, ...], scope: Scope) -> tuple[dict[str, tuple[str, ClassRef]], bool]:
    """Return selecting value -> (key, class), and whether the value is lowered before it is looked up.

    From the dispatching dict of a function where there is one, else from the classes themselves.
    """
    tagged = {str(value): (tag, ref) for ref in classes for tag, value in _tags(ref, scope)}
    tag = next(iter(tagged.values()))[0] if tagged else ""
    by_name = {ref.node.name for ref in classes}
    for function in ast.walk(scope.module.tree) if tag else ():
        for node in ast.walk(function) if isinstance(function, ast.FunctionDef) else ():
            rows = _rows(node, scope) if isinstance(node, ast.Dict) else {}
            if any(ref.node.name in by_name for ref in rows.values()):
                # the dispatching dict knows aliases that no class states
                return {name: (tag, ref) for name, ref in rows.items()}, ".lower())" in ast.unparse(function)
    return tagged, False


def _rows(node: ast.Dict, scope: Scope) -> dict[str, ClassRef]:
    rows = zip(node.keys, node.values, strict=True)
    named = {str(k.value): evaluate_node(v, scope) for k, v in rows if isinstance(k, ast.Constant)}
    return {name: ref for name, ref in named.items() if isinstance(ref, ClassRef)}


def _tags(ref: ClassRef, scope: Scope) -> Iterator[tuple[str, Any]]:
    for node in ref.node.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id in TAGS:
            literal = [h for h in flatten_annotation(node.annotation, scope) if h.kind == "literal"]
            value = literal[0].values[0] if literal else evaluate_node(node.value, scope)
            if isinstance(value, str):
                yield node.target.id, value


def _keywords(default: ast.expr | None) -> dict[str, ast.expr]:
    return {k.arg: k.value for k in default.keywords if k.arg} if isinstance(default, ast.Call) else {}


def _aliases(default: ast.expr | None) -> Iterator[str]:
    """Yield the other names of a field: `alias="x"`, `validation_alias=AliasChoices("a", "b")`."""
    given = _keywords(default)
    for node in (given.get("alias"), given.get("validation_alias")):
        for part in ast.walk(node) if node is not None else ():
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value


def _deprecated(default: ast.expr | None, scope: Scope) -> str:
    given = _keywords(default)
    text = evaluate_node(given["deprecated"], scope) if "deprecated" in given else ""
    if isinstance(text, str) and text:
        return text[:110]
    status = given.get("status")
    return "deprecated" if isinstance(status, ast.Constant) and status.value == "deprecated" else ""
