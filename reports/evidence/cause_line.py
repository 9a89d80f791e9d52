"""Finds the line of a failure's message that names its cause: the exception, and not how the process ended."""

from __future__ import annotations

import re
from typing import Final

# `RuntimeError: ...` as Python prints it. Names like EngineExited are ours: they say how a launch ended.
CAUSE: Final = re.compile(r"\s*(?!Engine)[\w.]*(?:Error|Exception|Interrupt)\b(?::|$)")


def find_cause(message: str) -> str:
    """Find the last exception that a message shows, else its first line."""
    named = [line.strip() for line in message.splitlines() if CAUSE.match(line)]
    return named[-1] if named else find_first_line(message)


def find_first_line(text: str) -> str:
    """Find the first line that is not blank; empty where there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
