"""docs/reference/variables.md: every environment variable that this project reads."""

from __future__ import annotations

from collections.abc import Iterator

from ci.reference.markdown import format_code, format_table
from matrix.output.inherited import COMPILE_SPEED, COMPILERS, INHERITED_PREFIXES, PASSED
from matrix.variables import VARIABLES, Variable

HEAD = """# Environment variables

What this project reads. What an engine reads stands in its plan: `glm-matrix explain CELL`. A secret is taken from a
variable only, never from a command line, and is hidden in every log and in evidence.
"""


ENGINES = """
## What a launched engine inherits

An engine that pytest starts as a process gets what its plan sets, a key for this launch, and these of the shell; a
container gets what its plan sets. The folders of compiled kernels pass, too
([warm the kernels](../how-to/warm-the-kernels.md)), and every variable that begins with {prefixes}.
None passes whose name holds a word like `KEY` or `TOKEN`.

{basics} pass, for the system, Python and Hugging Face.

These decide how kernels are compiled on this host. Those that change what comes out are told in the launch's evidence.

"""


def make_page() -> str:
    """Our own first, then those whose meaning somebody else defines."""
    return "\n".join(
        [HEAD, format_table(("variable", "whose", "what it does", "without it"), _rows()), _show_inherited()]
    )


def _show_inherited() -> str:
    prefixes = ", ".join(format_code(p) for p in INHERITED_PREFIXES)
    basics = ", ".join(format_code(n) for n in sorted(PASSED))
    rows = [(format_code(n), who, "recorded") for n, who in COMPILERS.items()]
    rows += [(format_code(n), who, "") for n, who in COMPILE_SPEED.items()]
    table = format_table(("variable", "who reads it", "in evidence"), rows)
    return f"{ENGINES.format(prefixes=prefixes, basics=basics)}{table}"


def _rows() -> Iterator[tuple[str, ...]]:
    for v in sorted(VARIABLES.values(), key=_order):
        yield format_code(v.name), v.whose, v.does, v.default


def _order(variable: Variable) -> tuple[bool, str]:
    return variable.whose == "somebody else's", variable.name
