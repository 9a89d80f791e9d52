"""What stands around a command: the container's GPUs and shared memory, words that never reach the engine.

The readers note what they saw (`Circumstance`); whether it matters depends on the release, the GPUs and the ranks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.launchers import Circumstance, Command
from matrix.checking.releases import AskedRelease

OF_BOTH: Final = frozenset({"--device", "--help", "--host", "--log-level"})  # options of docker and of an engine


def judge_circumstances(command: Command, facts: Mapping[str, Any], release: AskedRelease) -> Iterator[CheckFinding]:
    """Yield what was noted around the command and matters for it."""
    for noted in command.circumstances:
        if _matters(noted, facts, release):
            yield make_finding(noted.id, noted.facts, noted.subject, line=noted.line)


def _matters(noted: Circumstance, facts: Mapping[str, Any], release: AskedRelease) -> bool:
    match noted.id:
        case "option_before_the_image":
            snapshot = release.nearest_snapshot()
            return noted.subject not in OF_BOTH and snapshot is not None and noted.subject in snapshot.options
        case "container_with_little_shared_memory":
            ranks = facts.get("host_ranks")
            return isinstance(ranks, int) and ranks > 1
    return True


def note_variables(outside: Iterable[str], inside: Iterable[str], line: int) -> tuple[Circumstance, ...]:
    """Note the engines' variables that a shell sets before `docker run` and that the container is not given."""
    lost = sorted(name for name in set(outside) - set(inside) if name.startswith(ENGINES_OWN))
    return tuple(
        Circumstance(id="variable_stays_outside", subject=name, line=line, facts={"name": name}) for name in lost
    )


ENGINES_OWN: Final = ("VLLM_", "SGLANG_", "SGL_", "TRTLLM_", "TLLM_", "NCCL_", "FLASHINFER_", "LLAMA_ARG_", "PYTORCH_")
