"""Is a reply in the name of the model that was asked? Apart from `matrix.judging.identity`, which knows cells and
plans: a process of its own starts for each load, and needs only this."""

from __future__ import annotations

from typing import Final

from matrix.errors import OtherServer

SHOWN_CHARS: Final = 400


def require_model(replied: str, asked: str) -> None:
    """Compare who answered with who was asked.

    A reply that names no model is for `suites.checks.protocol` to judge. transformers serve adds a revision (`@main`).

    Raises:
        OtherServer: the reply is in another model's name.
    """
    if replied and asked and replied != asked and not replied.startswith(f"{asked}@"):
        raise OtherServer(
            f"another server answered: {asked!r} was asked, and the reply's model is {replied[:SHOWN_CHARS]!r}",
            replied=replied,
        )
