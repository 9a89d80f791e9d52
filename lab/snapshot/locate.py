"""Find the definition of a name in an unknown layout; otherwise state what was searched, and leave it unread.

Names stay where folders move: vLLM's `make_arg_parser` lived in `entrypoints/openai`, in `entrypoints/launchers`
(0.30.0 to 0.32.0) and in `entrypoints/common`, and was the same function each time.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lab.snapshot.source import Module, WheelSource
from matrix.errors import MatrixError


class NotFound(MatrixError):
    """A part of the release is not where any earlier release had it; the text says what was searched."""


@dataclass
class Parts:
    """The parts read of a release, and the reasons for the unread ones."""

    read: dict[str, Any] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, read: Callable[[], Any]) -> Any:
        """Read one part. A missing or empty part counts as unread: its absence proves nothing."""
        try:
            value = read()
        except NotFound as error:
            self.unread[name] = str(error)
            return None
        # an empty registry is a registry that moved: written down as empty, it would refuse every model
        if not value:
            self.unread[name] = f"nothing was found where the {name} of other releases are"
            return None
        self.read[name] = value
        return value

    def facts(self) -> dict[str, Any]:
        """Return fields for `Snapshot`."""
        return {**self.read, "unread": self.unread}


def find_definition(package: WheelSource, name: str, *, prefix: str, needs: str = "") -> Module:
    """Return the module under `prefix` that defines a function or class; of several, the one with most importers.

    `needs` is a regular expression that its text must also match.

    Raises:
        NotFound: no module defines it.
    """
    pattern = re.compile(rf"^(async )?(def|class) {name}\b".encode(), re.MULTILINE)
    found = [m for m in package.search(pattern, prefix) if re.search(needs, m.text)]
    if not found:
        also = f" beside {needs!r}" if needs else ""
        raise NotFound(f"no module under {prefix} defines {name}{also}")
    # the one that is used: leftovers and copies for other entry points are imported by nobody
    return max(found, key=lambda module: (_importers(package, module, name, prefix), -len(module.path)))


def find_table(package: WheelSource, name: str, *, prefix: str, rows: str = "") -> Module:
    """Return the module under `prefix` whose top level assigns `name` (a pattern); of several, the one with most rows.

    Raises:
        NotFound: no module does.
    """
    pattern = re.compile(rf"^{name}\b[^=\n]*=".encode(), re.MULTILINE)
    found = list(package.search(pattern, prefix))
    if not found:
        raise NotFound(f"no module under {prefix} assigns {name}")
    return max(found, key=lambda module: len(re.findall(rows, module.text)) if rows else 0)


def find_class(module: Module, name: str) -> ast.ClassDef:
    """Return a class of the module's top level.

    Raises:
        NotFound: the module has none of that name.
    """
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    raise NotFound(f"{module.path} has no class {name} at its top level")


def _importers(package: WheelSource, module: Module, name: str, prefix: str) -> int:
    """Count the files that import `name` from the module by its absolute name."""
    pattern = re.compile(rf"from {re.escape(module.name)} import [^\n]*(\n[^)]*)?\b{name}\b".encode())
    return sum(1 for _ in _iterate_paths(package, pattern, prefix))


def _iterate_paths(package: WheelSource, pattern: re.Pattern[bytes], prefix: str) -> Iterator[str]:
    yield from (path for path, text in package.files.items() if path.startswith(prefix) and pattern.search(text))
