"""Generates docs/reference/errors.md: the exception tree, and what a person does about each exception."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from ci.reference.markdown import format_block, format_code, format_table
from matrix import errors

EXIT_CODES = (
    (0, "everything that was asked for is green"),
    (1, "a test, the gate or an answer is red"),
    (2, "bad input or an interrupted run; the message names file, line and the nearest valid word"),
)

# What `python -m matrix lint` says of a rule or a known failure beyond its form, and the next step.
LINT = (
    ("the source says of no GPU that it was read or run for it", "give `source.sm`, or take the GPU out of `when`"),
    (
        "the entry is about sm120, the source about sm90",
        "find a source about that GPU; a relative needs `source.expected`",
    ),
    ("lies outside of the entry's own range", "move the range, or the source is about another release"),
    ("the source speaks of ..., the entry of ...", "an entry needs a source about its own engine"),
    ("is no engine, and no library of this entry's `pins`", "make it a condition on the library: `when: {pins: ...}`"),
    ("no release pins a library ...", "take the nearest word that is named, or the library is pinned by nobody here"),
    ("the entry is about nvfp4 weights, the source about fp8", "name the format that the source speaks of"),
    ("meets no combination of the axes", "`waits_for: engine==version`, or retire it"),
    ("meets only combinations that are not run", "retire it: what is not run needs no excuse"),
    ("is on the axes: it waits for nothing any more", "drop `waits_for`, or the range does not hold that release"),
    ("no item of ... asks for ... at any depth", "name the test that does, or give the suite such an item"),
    ("the symptom says '... tokens': name it", "add `needs: {prompt_tokens: ...}`"),
    ("is no choice of ours", "`kind: choice` is for what we do not ask; a limit of an engine needs a source"),
)


def make_page() -> str:
    doc = inspect.cleandoc(errors.__doc__ or "").split("\n", 1)[1]
    rows = (
        (format_code(kind.__name__), inspect.cleandoc(kind.__doc__ or ""))
        for kind in _walk_subclasses(errors.MatrixError)
    )
    return "\n".join(
        [
            "# Errors\n",
            "The first question is whose fault it is: the files', this machine's, or the engine's.\n",
            format_block(doc.strip()),
            format_table(("class", "what happened"), rows),
            "## Exit codes of `python -m matrix`, `reports` and `ci`\n",
            format_table(("code", "meaning"), EXIT_CODES),
            "## What lint says of rules and known failures\n",
            format_table(("it says", "next step"), LINT),
        ]
    )


def _walk_subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    """Yield the class and its subclasses in matrix/errors.py, parents first; other layers may add their own."""
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _walk_subclasses(child)
