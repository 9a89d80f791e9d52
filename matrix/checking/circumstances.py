"""What stands around a command: the container's GPUs and shared memory, words that never reach the engine.

The readers note what they saw (`Circumstance`); whether it matters depends on the release, the GPUs and the ranks.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.launchers import Circumstance, Command
from matrix.checking.lost_environment import drops_variables
from matrix.checking.reach import judge_mounts, judge_network, judge_time
from matrix.checking.releases import AskedRelease
from matrix.checking.variables import Word

GLUED: Final = re.compile(r"--?[A-Za-z][\w.-]*\s+\S.*", re.DOTALL)
ELSEWHERE: Final = frozenset({"container_memory"})  # judged beside what the launch pins (main_memory.py)
OF_BOTH: Final = frozenset({"--device", "--help", "--host", "--log-level"})  # options of docker and of an engine


def judge_circumstances(
    command: Command, facts: Mapping[str, Any], release: AskedRelease, size_bytes: int = 0
) -> Iterator[CheckFinding]:
    """Yield what was noted around the command and matters for it. `size_bytes`: of the weights; 0: not known."""
    for noted in command.circumstances:
        if noted.id == "container_network":
            yield from judge_network(noted, command, release)
        elif noted.id == "container_mounts":
            yield from judge_mounts(noted, command, facts)
        elif noted.id == "time_to_load":
            yield from judge_time(noted, command.engine, size_bytes)
        elif noted.id not in ELSEWHERE and _matters(noted, facts, release):
            yield make_finding(noted.id, noted.facts, noted.subject, line=noted.line)


def split_glued(command: Command) -> Command:
    """Split words like `--tp-size 8`, which are one argument to the engine, and note each; judged is what is meant.

    Lists of YAML and quotes of a shell glue them; nothing splits them again.
    """
    glued = [word for word in command.argv if GLUED.fullmatch(word.text)]
    if not glued:
        return command
    try:
        argv = tuple(
            piece
            for word in command.argv
            for piece in (
                (Word(text, word.line, word.holes) for text in shlex.split(word.text)) if word in glued else (word,)
            )
        )
    except ValueError:
        return command  # a quote that never ends: the parser's own findings say what it is
    noted = tuple(
        Circumstance(id="several_words_in_one", subject=word.text, line=word.line, facts={"words": word.text})
        for word in glued
    )
    return replace(command, argv=argv, circumstances=(*command.circumstances, *noted))


def _matters(noted: Circumstance, facts: Mapping[str, Any], release: AskedRelease) -> bool:
    match noted.id:
        case "option_before_the_image":
            snapshot = release.nearest_snapshot()
            return noted.subject not in OF_BOTH and snapshot is not None and noted.subject in snapshot.options
        case "container_with_little_shared_memory":
            ranks = facts.get("host_ranks")
            return isinstance(ranks, int) and ranks > 1
    return True


def note_sudo(words: Sequence[Word], outside: Iterable[str], line: int) -> tuple[Circumstance, ...]:
    """Note the engines' variables that a shell sets and that sudo does not hand on."""
    if not drops_variables(words):
        return ()
    lost = sorted(name for name in outside if name.startswith((*ENGINES_OWN, "CUDA_VISIBLE_DEVICES")))
    return tuple(
        Circumstance(id="variable_lost_to_sudo", subject=name, line=line, facts={"name": name}) for name in lost
    )


def note_early(words: Sequence[Word], leading: Mapping[str, Word]) -> tuple[Circumstance, ...]:
    """Note `TP=8 vllm serve -tp $TP`: a shell expands the words before the assignment in front of them holds."""
    holes = {hole for word in words for hole in word.holes}
    return tuple(
        Circumstance(id="expanded_before_it_is_set", subject=f"${name}", line=value.line, facts={"name": name})
        for name, value in leading.items()
        if name in holes
    )


def note_variables(outside: Iterable[str], inside: Iterable[str], line: int) -> tuple[Circumstance, ...]:
    """Note the engines' variables that a shell sets before `docker run` and that the container is not given."""
    lost = sorted(name for name in set(outside) - set(inside) if name.startswith(ENGINES_OWN))
    return tuple(
        Circumstance(id="variable_stays_outside", subject=name, line=line, facts={"name": name}) for name in lost
    )


ENGINES_OWN: Final = ("VLLM_", "SGLANG_", "SGL_", "TRTLLM_", "TLLM_", "NCCL_", "FLASHINFER_", "LLAMA_ARG_", "PYTORCH_")
