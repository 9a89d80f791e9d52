"""docs/reference/variables.md: every environment variable that this project reads."""

from __future__ import annotations

from collections.abc import Iterator

from ci.reference.markdown import format_code, format_table
from matrix.variables import VARIABLES, Variable

HEAD = """# Environment variables

What this project reads. What an engine reads stands in its plan: `glm-matrix explain CELL`. A secret is taken from a
variable only, never from a command line, and is hidden in every log and in evidence.
"""


def make_page() -> str:
    """Our own first, then those whose meaning somebody else defines."""
    return "\n".join([HEAD, format_table(("variable", "whose", "what it does", "without it"), _rows())])


def _rows() -> Iterator[tuple[str, ...]]:
    for v in sorted(VARIABLES.values(), key=_order):
        yield format_code(v.name), v.whose, v.does, v.default


def _order(variable: Variable) -> tuple[bool, str]:
    return variable.whose == "somebody else's", variable.name
