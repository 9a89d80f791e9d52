"""docs/reference/errors.md: the exception tree and what each asks of a person."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from ci.reference.markdown import block, code, table
from matrix import errors

EXIT_CODES = (
    (0, "everything that was asked for is green"),
    (1, "a test, the gate or an answer is red"),
    (2, "bad input or an interrupted run; the message names file, line and the nearest valid word"),
)


def page() -> str:
    doc = inspect.cleandoc(errors.__doc__ or "").split("\n", 1)[1]
    rows = ((code(kind.__name__), inspect.cleandoc(kind.__doc__ or "")) for kind in _tree(errors.MatrixError))
    return "\n".join(
        [
            "# Errors\n",
            "The first question is whose fault it is: the files', this machine's, or the engine's.\n",
            block(doc.strip()),
            table(("class", "what happened"), rows),
            "## Exit codes of `python -m matrix`, `reports` and `ci`\n",
            table(("code", "meaning"), EXIT_CODES),
        ]
    )


def _tree(kind: type[Exception]) -> Iterator[type[Exception]]:
    """The class and its subclasses of matrix/errors.py, parents first; other layers may add their own."""
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _tree(child)
