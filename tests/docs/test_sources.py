"""A source that is cited by its note has one: provenance leads somewhere."""

from __future__ import annotations

import re
import subprocess

from matrix.checkout import CHECKOUT

NOTE = re.compile(r"docs/sources/\w+\.md")
LEFT_OUT = (".lock", ".json", ".jsonl", ".safetensors")  # no texts of ours


def tracked_texts() -> dict[str, str]:
    names = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    paths = (CHECKOUT / name for name in names.split("\n") if name and not name.endswith(LEFT_OUT))
    return {p.relative_to(CHECKOUT).as_posix(): p.read_text("utf-8", "replace") for p in paths if p.is_file()}


TEXTS = tracked_texts()


def test_every_note_that_is_cited_exists() -> None:
    cited = {note for text in TEXTS.values() for note in NOTE.findall(text)}
    assert {note for note in cited if not (CHECKOUT / note).is_file()} == set()
    assert "docs/sources/004.md" in cited


def test_nothing_cites_a_seed_by_number() -> None:
    cited = re.compile("seeds" + r"/\d")
    assert [name for name, text in TEXTS.items() if cited.search(text)] == []
