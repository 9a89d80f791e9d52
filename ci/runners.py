"""Reads `ci/runners.yaml`, which assigns a runner to each rig, and checks it against the axes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.yaml import yamltext
from matrix.yaml.document import Document
from matrix.yaml.structure import structure_data

FILE = Path(__file__).parent / "runners.yaml"
NEEDED = ("labels", "host", "launch_timeout_min", "models")


@dataclass(frozen=True, kw_only=True)
class Runner:
    """The runner of a rig's jobs; or, with `none`, the reason why no runner serves the rig."""

    labels: tuple[str, ...] = ()
    host: str = ""  # rigs of one machine share it; it is the concurrency key
    launch_timeout_min: int = 0  # minutes, for one launch and its suites
    models: str = ""  # folder with one folder per checkpoint id
    none: str = ""

    @property
    def serves(self) -> bool:
        return not self.none


@dataclass(frozen=True, kw_only=True)
class RunnersFile:
    """The file as a whole."""

    runners: Mapping[str, Runner]


def load_runners(rigs: Iterable[str], path: Path = FILE) -> Mapping[str, Runner]:
    """Load the runner of every rig.

    Raises:
        ConfigError: every problem of the file: unknown keys, rigs that do not exist, rigs without an entry.
    """
    doc = yamltext.read_document(path, f"ci/{path.name}")
    problems = list(doc.problems)
    found = None if problems else structure_data(RunnersFile, doc, doc.data, (), problems)
    if isinstance(doc.data, dict):
        problems += _check_names(doc, tuple(rigs))
    if found is not None:
        problems += (p for rig, runner in found.runners.items() for p in _check_runner(doc, rig, runner))
    if problems or found is None:
        raise ConfigError(problems)
    return found.runners


def _check_names(doc: Document, rigs: tuple[str, ...]) -> Iterator[Problem]:
    entries = doc.data.get("runners")
    named = list(entries) if isinstance(entries, dict) else []
    for rig in named:
        if rig not in rigs:
            yield doc.problem(("runners", rig), f"no rig {rig!r}{suggest_nearest(str(rig), rigs)}")
    for rig in rigs:
        if rig not in named:
            yield doc.problem(("runners",), f"no entry for rig {rig!r}: name its runner, or say `none: why`")


def _check_runner(doc: Document, rig: str, runner: Runner) -> Iterator[Problem]:
    """Require every key of a runner, and no other key next to `none`."""
    for key in NEEDED:
        given = bool(getattr(runner, key))
        if runner.serves and not given:
            yield doc.problem(("runners", rig), f"missing key {key!r}")
        elif runner.none and given:
            yield doc.problem(("runners", rig, key), f"{key!r} beside `none`: nobody runs this rig, or somebody does")
