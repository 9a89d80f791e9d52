"""Which pairs of parsers are run: each as it is named on a launch line, with the format that its model writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from matrix.parsers.render import Format


class Pair(NamedTuple):
    """A value of --tool-call-parser and one of --reasoning-parser."""

    tool: str
    reasoning: str
    format: Format

    @property
    def name(self) -> str:
        """Return the pair's name in records and tables."""
        return f"{self.tool}+{self.reasoning}"


PAIRS: Final[Mapping[str, tuple[Pair, ...]]] = {
    "vllm": (
        Pair("glm47", "glm45", "glm47"),
        Pair("glm45", "glm45", "glm45"),
        Pair("deepseek_v32", "deepseek_v3", "dsml"),
    ),
    "sglang": (
        Pair("glm47", "glm45", "glm47"),
        Pair("glm45", "glm45", "glm45"),
        Pair("deepseekv32", "deepseek-v3", "dsml"),
    ),
}
