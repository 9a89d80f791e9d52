"""What is wrong with a release's tool-call and reasoning parsers: the one answer that `check`, `recommend` and `show`
give. The parsers themselves ran over the corpus; matrix/parsers/summary.json holds what was wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from matrix.parsers.summary import read_summary

if TYPE_CHECKING:
    from matrix.planning.plan import Plan

FLAGS: Final = ("--tool-call-parser", "--tool_parser")  # SGLang's and vLLM's alike; TensorRT-LLM's
ALWAYS: Final = frozenset({"whole", "token"})  # deliveries that every launch makes; `drafts` needs speculation


@dataclass(frozen=True, slots=True, kw_only=True)
class ParserFaults:
    """The faults of one pair of parsers in one release. `count` is whole/streamed/backlog, in cases."""

    requirement: str  # sglang==0.5.23
    pair: str  # tool-call parser + reasoning parser
    cases: int
    count: str
    worst: tuple[str, ...]
    severe: frozenset[str]  # deliveries in which a call is lost or cannot be read
    ran: str  # Python, transformers
    wheel: str

    def loses_calls(self, *, draft: bool) -> bool:
        """Whether a client loses calls or arguments in a delivery that this launch makes."""
        return bool(self.severe & (ALWAYS | ({"drafts"} if draft else set())))

    def describe(self) -> str:
        return (
            f"{self.pair} answers wrongly in {self.count} of {self.cases} replies (whole/streamed/backlog); worst:"
            f" {'; '.join(self.worst)}"
        )

    @property
    def command(self) -> str:
        """The command that shows each of them."""
        return f"glm-matrix parsers --release {self.requirement}"


def find_parser_faults(release: str, requirement: str, tool_parser: object) -> Iterator[ParserFaults]:
    """Yield the faults of the pairs with this tool-call parser; nothing of a release whose parsers did not run."""
    for pair, found in read_summary().get(release, {}).items():
        # a pair without faults has no worst, and then there is nothing to warn of
        if pair.partition("+")[0] == tool_parser and found["worst"]:
            from matrix.parsers.record import load_releases  # late: records are read where there is something to tell

            ran = load_releases()[release]
            yield ParserFaults(
                requirement=requirement,
                pair=pair,
                cases=found["cases"],
                count=found["count"],
                worst=tuple(found["worst"]),
                severe=frozenset(found["severe"]),
                ran=ran["ran"],
                wheel=ran["wheel"],
            )


def find_faults_of_plan(plan: Plan) -> list[ParserFaults]:
    """List the faults of the parsers that a plan names."""
    release = plan.cell.release
    named = [s.value for flag in FLAGS if (s := plan.setting("args", flag)) is not None]
    requirement = f"{plan.cell.engine.id}=={release.version}"
    return [f for parser in named for f in find_parser_faults(release.id, requirement, parser)]


def tell_in_comments(plan: Plan) -> list[str]:
    """Write them as comments of a script, compose file or unit."""
    from matrix.output.script import format_comment

    return [
        line
        for found in find_faults_of_plan(plan)
        for line in (format_comment(f"tool calls  {found.describe()}"), f"#             {found.command} shows each")
    ]
