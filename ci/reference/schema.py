"""Generates docs/reference/schema.md: every key of every YAML file, from the dataclasses and the comments behind
their fields."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from ci.reference.markdown import format_block, format_code, format_table
from ci.runners import Runner
from matrix import condition, hardware, model, recorded
from matrix.planning import beside
from matrix.source import Source
from reports.gate.policy import Policy


class FileKind(NamedTuple):
    """One kind of YAML file (or a part of one), and the path where it is found."""

    cls: type[Any]
    where: str


class Field(NamedTuple):
    """One key, as the source declares it."""

    name: str
    type: str
    default: str | None
    comment: str


def _list_clauses(policy: type[Any]) -> Iterator[FileKind]:
    """List the clauses of a gate, in the order of its keys."""
    for name, hint in get_type_hints(policy).items():
        entry = "entry of " if get_origin(hint) is tuple else ""
        yield from (
            FileKind(cls, f"{entry}`{name}:` of a gate")
            for cls in get_args(hint)
            if isinstance(cls, type) and is_dataclass(cls)
        )


KINDS = (
    FileKind(hardware.Gpu, "`matrix/axes/hardware/<id>.yaml`"),
    FileKind(model.Engine, "`matrix/axes/engines/<id>/engine.yaml`"),
    FileKind(model.Release, "`matrix/axes/engines/<engine>/<id>.yaml` (`engine` is the folder's name: leave it out)"),
    FileKind(model.Family, "`matrix/axes/families/<id>.yaml`"),
    FileKind(model.Traits, "`checkpoints:` of a family"),
    FileKind(model.Checkpoint, "`matrix/axes/checkpoints/<id>.yaml`"),
    FileKind(model.Quantisation, "`quantisation:` of a checkpoint"),
    FileKind(model.Feature, "`matrix/axes/features/<id>.yaml`"),
    FileKind(model.Rule, "entry of `rules:` in `matrix/rules.yaml`"),
    FileKind(model.Overlay, "entry of `overlays:` in `matrix/recipes/*.yaml`"),
    FileKind(recorded.KnownFailure, "entry of `known_failures:` in `matrix/known_failures.yaml`"),
    FileKind(recorded.Fails, "`fails:` of a known failure"),
    FileKind(recorded.Needs, "`needs:` of a known failure"),
    FileKind(Source, "`source:` of a known failure"),
    FileKind(recorded.Claim, "`matrix/claims/<id>.yaml`"),
    FileKind(recorded.Measurement, "entry of `measurements:` of a claim"),
    FileKind(recorded.Published, "entry of `published:` in `matrix/published.yaml`"),
    FileKind(beside.Beside, "`matrix/beside.yaml`"),
    FileKind(beside.Base, "entry of `bases:` in `matrix/beside.yaml`"),
    FileKind(beside.Difference, "`every:` and each of `features:` in `matrix/beside.yaml`"),
    FileKind(Policy, "`ci/gates/<name>.yaml`"),
    *_list_clauses(Policy),
    FileKind(Runner, "entry of `runners:` in `ci/runners.yaml`, under a rig's id"),
)


def make_page() -> str:
    """Make the page of every YAML key. An unknown key, a wrong type and a duplicate id are errors that name file and
    line."""
    head = (
        "# YAML files\n\nEvery key of every file. A key without a default must be given; an unknown one is an error.\n"
    )
    return "\n".join([head, *map(_format_section, KINDS), _format_conditions()])


def _format_section(kind: FileKind) -> str:
    rows = (
        (
            format_code(f.name),
            format_code(f.type),
            "must be given" if f.default is None else format_code(f.default),
            f.comment,
        )
        for f in read_fields(kind.cls)
    )
    doc = inspect.cleandoc(kind.cls.__doc__ or "")
    keys = format_table(("key", "type", "default", "meaning"), rows)
    return f"## {kind.cls.__name__}\n\n{doc}\n\nIn {kind.where}.\n\n{keys}"


def read_fields(cls: type[Any]) -> Iterator[Field]:
    """Yield the annotated fields of a class and of those that it extends, each with the comment at the end of its
    line."""
    for each in cls.__mro__[:-1]:
        yield from _read_own_fields(each)


def _read_own_fields(cls: type[Any]) -> Iterator[Field]:
    source = textwrap.dedent(inspect.getsource(cls))
    lines = source.splitlines()
    [body] = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            comment = lines[(node.end_lineno or node.lineno) - 1][node.end_col_offset or 0 :].strip()
            default = None if node.value is None else _show_default(node.value)
            yield Field(node.target.id, ast.unparse(node.annotation), default, comment.lstrip("# "))


def _show_default(value: ast.expr) -> str:
    """Format a default for a reader: `field(default_factory=dict)` is an empty mapping."""
    text = ast.unparse(value)
    return "{}" if text == "field(default_factory=dict)" else text


def _format_conditions() -> str:
    doc = inspect.cleandoc(condition.__doc__ or "")
    keys = ", ".join(format_code(k) for k in condition.KEYS)
    return f"## when\n\n{format_block(doc)}\nKeys: {keys}.\n"
