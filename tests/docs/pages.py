"""The fenced blocks of docs/, and a copy of the checkout's YAML in which a page's own blocks stand."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from matrix.checkout import CHECKOUT

DOCS = CHECKOUT / "docs"
PAGES = sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md") if "reference" not in p.parts)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"# ((?:matrix|ci)/\S+\.yaml)\n")


@dataclass(frozen=True)
class Block:
    """One fenced block. `place` is the file that a yaml block names in its first line."""

    page: str
    line: int
    language: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def place(self) -> str:
        found = PLACE.match(self.text) if self.language == "yaml" else None
        return found[1] if found else ""


def blocks(page: str, language: str = "") -> list[Block]:
    text = (DOCS / page).read_text("utf-8")
    return [b for b in _blocks(page, text) if language in ("", b.language)]


def _blocks(page: str, text: str) -> Iterator[Block]:
    for found in FENCE.finditer(text):
        yield Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2])


def checkout_with(page: str, folder: Path) -> Path:
    """Write the YAML of this checkout below `folder`, changed as the page says."""
    for part in ("matrix", "ci"):
        shutil.copytree(CHECKOUT / part, folder / part, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for block in blocks(page, "yaml"):
        if block.place:
            _apply(folder / block.place, block.text)
    return folder


def _apply(path: Path, text: str) -> None:
    """Write a new file, or add entries to a file that is a list of them."""
    new = yaml.safe_load(text)
    if path.is_file() and len(new) == 1:
        new = _added(yaml.safe_load(path.read_text("utf-8")), new)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if not path.is_file() else yaml.safe_dump(new, sort_keys=False), encoding="utf-8")


def _added(old: dict[str, Any], new: dict[str, Any] | list[Any]) -> dict[str, Any]:
    [(key, entries)] = new.items() if isinstance(new, dict) else [(next(iter(old)), new)]
    both = [*old[key], *entries] if isinstance(entries, list) else {**old[key], **entries}
    return {**old, key: both}
