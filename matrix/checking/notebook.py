"""A notebook's cells -> a shell's text: lines that begin with `!`, whole cells under %%bash. Lines have no numbers."""

from __future__ import annotations

import json
import re
from typing import Final

SHELL_CELL: Final = re.compile(r"\A\s*%%(?:bash|sh|script \w+)[^\n]*\n")
SHELL_LINE: Final = re.compile(r"^\s*[!%](?:system\s+|sx\s+)?(?P<said>(?:[^\n]*\\\n)*[^\n]*)", re.M)


def read_cells(text: str) -> tuple[str, str]:
    """Return what the shell runs and the rest, which is Python; both empty where the text is no notebook."""
    try:
        cells = json.loads(text).get("cells", [])
    except (ValueError, AttributeError, RecursionError):
        return "", ""
    shell: list[str] = []
    python: list[str] = []
    for cell in cells if isinstance(cells, list) else []:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source", "")
        said = "".join(map(str, source)) if isinstance(source, list) else str(source)
        if SHELL_CELL.match(said):
            shell.append(SHELL_CELL.sub("", said))
            continue
        shell += [found["said"] for found in SHELL_LINE.finditer(said)]
        python.append(SHELL_LINE.sub("", said))
    return "\n".join(shell), "\n".join(python)
