"""Names the file of each cell's page, next to the index: `index.html` has its cells in `index.cells/`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

ORDINARY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
STEM_CHARS: Final = 120


@dataclass(frozen=True, slots=True)
class PagePlaces:
    """Where the pages of one report go."""

    index: Path

    @property
    def folder(self) -> Path:
        return self.index.with_name(f"{self.index.stem}.cells")

    def stem(self, cell: str) -> str:
        """Name the page of a cell. A name that no file should have is replaced by an ordinary one of its own."""
        if ORDINARY.fullmatch(cell):
            return cell
        digest = hashlib.sha256(cell.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        return f"{re.sub('[^A-Za-z0-9_]', '_', cell)[:STEM_CHARS]}-{digest}"

    def path(self, cell: str) -> Path:
        return self.folder / f"{self.stem(cell)}.html"

    def link_from_index(self, cell: str) -> str:
        return f"{quote(self.folder.name)}/{quote(self.stem(cell))}.html"

    def link_from_cell(self, cell: str) -> str:
        return f"{quote(self.stem(cell))}.html"

    def link_to_index(self, cell: str = "") -> str:
        return f"../{quote(self.index.name)}{f'#{quote(cell)}' if cell else ''}"
