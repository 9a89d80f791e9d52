"""A code's page as data, and as text and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from matrix.checkout import CHECKOUT, name_in_checkout
from matrix.errors import ConfigError, Problem
from matrix.yaml.structure import structure_data
from matrix.yaml.yamltext import read_document

Kind = Literal["statuses", "rules", "checks", "line-checks", "known-failures", "faults"]
TITLES: Final[Mapping[Kind, str]] = {
    "statuses": "Statuses",
    "rules": "Rules that exclude combinations",
    "checks": "Checks of replies and launches",
    "line-checks": "Checks of your own launch line (`glm-matrix check`)",
    "known-failures": "Known failures",
    "faults": "Faults that the suites are held to",
}
PAGES: Final = CHECKOUT / "docs" / "reference" / "codes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The four parts of every page, as a YAML entry has them."""

    sees: str
    cannot_see: str
    example: str
    what_to_do: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One page."""

    id: str
    kind: Kind
    words: Words

    def render(self) -> str:
        """Return the page: four parts, always in this order."""
        w = self.words
        return (
            f"## {self.id}\n\n- **What it sees:** {w.sees}\n- **What it cannot see:** {w.cannot_see}\n"
            f"- **Example:** {w.example}\n- **What to do:** {w.what_to_do}\n"
        )


def read_words(path: Path) -> dict[str, Words]:
    """Read the entries of a YAML file of words.

    Raises:
        ConfigError: it is no YAML, or an entry has not exactly the four parts.
    """
    document = read_document(path, name_in_checkout(path))
    problems: list[Problem] = list(document.problems)
    entries = document.data if isinstance(document.data, dict) else {}
    # an empty file is no mistake here, a list of entries without names is one
    if not problems and document.data is not None and document.data is not entries:
        problems.append(document.problem((), f"expected entries by name, got {document.data!r}"))
    # all entries before the first error is raised: a file that lacks a part mostly lacks it in several
    found = {str(name): structure_data(Words, document, data, (name,), problems) for name, data in entries.items()}
    if problems:
        raise ConfigError(problems)
    return {name: words for name, words in found.items() if words is not None}


def render_page(kind: Kind, codes: Iterable[Code]) -> str:
    """All codes of a kind as one Markdown page."""
    head = f"# {TITLES[kind]}\n\nAlso `glm-matrix why CODE`.\n"
    return "\n".join([head, *(code.render() for code in codes)])
