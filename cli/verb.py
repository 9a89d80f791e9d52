"""What one verb of the command is."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Group = Literal["look", "prepare", "run", "judge", "maintain"]
GROUPS: Final[Mapping[Group, str]] = {
    "look": "Look at the matrix (no GPU, no engine, no network)",
    "prepare": "Prepare a host, weights and environments",
    "run": "Start and load an engine",
    "judge": "Judge evidence (no GPU, no engine, no network)",
    "maintain": "For maintainers: releases, references, the canary",
}
COMMAND: Final = "glm-matrix"
# Verbs of verbs, for whoever writes one without its verb. Written down: to ask every program takes two seconds.
INNER: Final[Mapping[str, frozenset[str]]] = {
    "add": frozenset({"checkpoint", "claim", "known-failure", "patch", "policy", "release", "rig"}),
    "canary": frozenset({"list", "make"}),
    "damage": frozenset({"zero-layer"}),
    "fleet": frozenset({"cancel", "collect", "status"}),
    "history": frozenset({"add", "baseline", "bisect-start", "flakes", "trend"}),
    "image": frozenset({"list", "pin"}),
    "junit": frozenset({"merge", "verify"}),
    "registry": frozenset({"add", "badge", "check"}),
    "train-canary": frozenset({"evaluate", "flash", "heal", "saliency", "train", "verify"}),
}
NOTHING: Final[Mapping[int, str]] = {}  # exit codes of a verb that has none of its own


@dataclass(frozen=True, slots=True)
class Program:
    """What a verb runs: `parser()` makes its command line, `main(words)` parses the words after the verb and runs."""

    parser: Callable[[], argparse.ArgumentParser]
    main: Callable[[Sequence[str]], int]


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb. `load` imports the modules behind it; nothing else does."""

    group: Group
    name: str
    summary: str  # one line, without a full stop
    example: str  # a command line that works in a checkout, without `glm-matrix`
    exit_codes: Mapping[int, str]  # beside those of every verb, see EVERY_VERB
    load: Callable[[], Program]

    @property
    def epilog(self) -> str:
        """The end of the verb's help: an example and every exit code."""
        codes = {**EVERY_VERB, **self.exit_codes}
        lines = [f"  {code:<4} {meaning}" for code, meaning in sorted(codes.items())]
        return "\n".join([f"example:\n  {COMMAND} {self.example}\n", "exit codes:", *lines])


EVERY_VERB: Final[Mapping[int, str]] = {
    0: "done, and the answer is yes",
    2: "bad input: the message names the file and line, or the option, and the nearest valid word",
    130: "interrupted by Ctrl-C; what was begun is cleaned up",
    141: "the reader of a pipe went away (| head)",
    143: "stopped by SIGTERM; what was begun is cleaned up",
}
