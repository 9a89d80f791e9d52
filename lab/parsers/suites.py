"""Which pairs of parsers are run: each as it is named on a launch line, with the format that its model writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from matrix.parsers.render import Format


class ParserNames(NamedTuple):
    """A value of --tool-call-parser and one of --reasoning-parser."""

    tool: str
    reasoning: str
    format: Format

    @property
    def name(self) -> str:
        """Return the pair's name in records and tables."""
        return f"{self.tool}+{self.reasoning}"


PAIRS: Final[Mapping[str, tuple[ParserNames, ...]]] = {
    "vllm": (
        ParserNames("glm47", "glm45", "glm47"),
        ParserNames("glm45", "glm45", "glm45"),
        ParserNames("deepseek_v32", "deepseek_v3", "dsml"),
    ),
    "sglang": (
        ParserNames("glm47", "glm45", "glm47"),
        ParserNames("glm45", "glm45", "glm45"),
        ParserNames("deepseekv32", "deepseek-v3", "dsml"),
    ),
    # it has no reasoning parser for GLM: deepseek-r1 is the one that begins within the thinking, as GLM's prompt does
    "trtllm": (
        ParserNames("glm47", "deepseek-r1", "glm47"),
        ParserNames("glm4", "deepseek-r1", "glm45"),
        ParserNames("deepseek_v32", "deepseek-r1", "dsml"),
        ParserNames("deepseek_v32", "nano-v3", "dsml"),  # the one of 1.3.0rc3 that reads enable_thinking
    ),
}
