"""A line of vLLM that names no model: its own default is served, and often an option of several words took the name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.settings import Settings

MANY: Final = ("+", "*")


def judge_model_word(facts: Mapping[str, Any], settings: Settings) -> Iterator[CheckFinding]:
    """Yield that no model is named, with the option that swallowed a name where one did."""
    # a file of options may name it, and words that nobody parsed may be one
    if facts["engine"] != "vllm" or not settings.known or "model" in settings.given or "config_file" in settings.given:
        return
    if any(use.problem == "extra" for use in settings.uses):
        return
    swallowing = next(
        (
            use
            for use in settings.uses
            if use.flag is not None and use.flag.nargs in MANY and any("/" in value for value in use.values[1:])
        ),
        None,
    )
    taken = next((v for v in swallowing.values[1:] if "/" in v), "") if swallowing is not None else ""
    why = f"{swallowing.written} takes several words, and {taken} became one of them" if swallowing is not None else ""
    subject = f"{swallowing.written} {' '.join(swallowing.values)}" if swallowing is not None else "no model"
    line = settings.lines.get(swallowing.written, 0) if swallowing is not None else 0
    more = {"why": why or "no word of it is the model's name"}
    yield make_finding("no_model_named", more, subject, line=line)
