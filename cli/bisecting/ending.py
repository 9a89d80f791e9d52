"""What a bisection leaves: a known failure's draft that lint accepts, a text for upstream, a folder that asks again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from packaging.version import Version

from cli.adding.write import dump_item
from cli.bisecting.observed import FailureShape, shape_of
from cli.bisecting.recorded import RecordedRun
from cli.bisecting.signature import make_answer_signature, make_launch_signature
from matrix.condition import compile_condition
from matrix.errors import ConfigError, HostError
from matrix.known.lint import lint_known_failures
from matrix.known.meeting import lint_sources
from matrix.model import Cell
from matrix.planning.expand import expand_matrix
from matrix.yaml.load import HERE, read_matrix
from matrix.yaml.loaded import Matrix
from reports.evidence.cause_line import find_cause
from reports.evidence.defuse import defuse_line
from reports.evidence.redact import redact_text
from reports.reproduce.failures import ReproducedFailure, list_failures
from reports.reproduce.folder import write_folder
from reports.reproduce.issue import make_issue

REVIEW: Final = timedelta(days=90)
LINKED: Final = "known_failures.yaml"  # every other entry of matrix/ is the checkout's own
SYMPTOM_CHARS: Final = 300
TRACKERS: Final[Mapping[str, str]] = {
    "sglang": "https://github.com/sgl-project/sglang/issues",
    "vllm": "https://github.com/vllm-project/vllm/issues",
    "trtllm": "https://github.com/NVIDIA/TensorRT-LLM/issues",
    "llamacpp": "https://github.com/ggml-org/llama.cpp/issues",
    "transformers": "https://github.com/huggingface/transformers/issues",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """What was found. `versions`: from the first bad release to the bad end, in the order of the search."""

    cell: Cell  # on the first bad release
    versions: tuple[str, ...]
    last_good: str
    always: bool  # whether it failed in every boot
    told: RecordedRun  # a run that failed on the first bad release
    shape: FailureShape
    probability: float
    boots: int
    smallest: str = ""  # the smallest failing set, in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written. `problems`: what lint says of the draft, or why there is none."""

    places: tuple[Path, ...]
    problems: tuple[str, ...] = ()


def find_failure(
    regression: Regression, told: Sequence[RecordedRun]
) -> tuple[ReproducedFailure | None, list[ReproducedFailure]]:
    """Find the failure among all of these runs, and list those; None where the evidence shows none of this shape."""
    failures = list_failures([(t.path, t.records) for t in told])
    own = [
        f
        for f in failures
        if f.result.run == regression.told.run and shape_of(f.result, regression.told.records) == regression.shape
    ]
    return (own[0] if own else None), failures


def write_ending(
    matrix: Matrix,
    regression: Regression,
    told: Sequence[RecordedRun],
    out: Path,
    *,
    owner: str,
    issue: str,
    today: date,
) -> Written:
    """Write the entry, the text and the folder below `out`.

    Raises:
        HostError: they cannot be written.
    """
    failure, failures = find_failure(regression, told)
    if failure is None:
        return Written(places=(), problems=("no run of the first bad release shows the failure itself",))
    entry, why = draft_entry(matrix, regression, failure, owner=owner, issue=issue, today=today)
    problems = list(why)
    places = [out / "issue.md", out / "repro"]
    known = [k.value for k in matrix.known_failures]
    try:
        places[0].write_text(
            # what an engine said may hold half a surrogate pair, which UTF-8 refuses: it is written escaped
            make_issue(failure, [(t.path, t.records) for t in told], failures, known),
            "utf-8",
            errors="backslashreplace",
        )
        write_folder(failure, places[1])
        if entry:
            places.insert(0, out / "known_failure.yaml")
            # the symptom quotes an engine's words, which can hold a key, and a draft is made to be pasted elsewhere
            text = redact_text(dump_item(entry))
            places[0].write_text(f"known_failures:\n{text}", "utf-8")
            # a copy of the matrix: a draft that lint refuses must never have stood in the checkout
            with TemporaryDirectory(prefix="glm-bisect-") as folder:
                problems += lint_entry(Path(folder), text, today)
    except OSError as error:
        raise HostError(f"{out}: cannot be written: {error.strerror or error}") from None
    return Written(places=tuple(places), problems=tuple(problems))


def draft_entry(
    matrix: Matrix, regression: Regression, failure: ReproducedFailure, *, owner: str, issue: str, today: date
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Draft the entry of this failure; ({}, why) where none can be one."""
    cell, shape = regression.cell, regression.shape
    # a test's own assertion has no finding, so no signature could tell this failure from the next of that test
    if not shape.check and shape.at == "test":
        return {}, (
            f"no known failure can excuse this: no check says it, {shape.test} does ({failure.result.message[:80]!r}). "
            "Exclude the release by a rule (matrix/rules.yaml), or fix it",
        )
    engine, first = cell.engine.id, cell.release.version
    # --bad may be the older end: then what was found is the release up to which it fails, and a fix is known
    upwards = _is_older(regression.last_good, first)
    release = f"{engine}=={first}"
    when = make_condition(cell, regression.versions)
    entry: dict[str, Any] = {
        "id": _make_slug(f"{engine}_{first}_{shape.test.removeprefix('test_') or 'launch'}"),
        "when": when,
        "fails": _make_fails(shape, failure),
        "expect": "always" if regression.always else "intermittent",
        "symptom": _say_symptom(regression, failure),
        "issue": issue or TRACKERS.get(engine, ""),
        "source": {
            "kind": "run",
            "release": release,
            "gpu": cell.rig.gpu.name if cell.rig.sm else "none",
            "sm": [cell.rig.sm],
            "form": cell.checkpoint.format,
            "where": f"glm-matrix bisect: {regression.boots} boots, probability {regression.probability:.3f}",
        },
        "owner": owner,
        "added": today,
        "review_by": today + REVIEW,
        "affected": f"{' to '.join(_sort_ends(regression.versions))}, seen",
        "fixed": "open" if upwards else f"{regression.last_good}, seen",
    }
    condition = compile_condition(when, matrix.pins)
    # lint refuses an entry that no cell can meet, unless it says which release it waits for
    if not any(condition(c.facts) for c in expand_matrix(matrix).runnable):
        entry["waits_for"] = release
    return entry, ()


def make_condition(cell: Cell, versions: Sequence[str]) -> dict[str, Any]:
    """Return a `when:` as narrow as what was seen: these versions, this checkpoint, GPU and features."""
    ends = _sort_ends(versions)
    span = f"=={ends[0]}" if len(ends) == 1 else f">={ends[0]},<={ends[1]}"
    when: dict[str, Any] = {"engine": cell.engine.id, "version": span}
    # a fork of a version carries other patches: what the plain wheel does says nothing of it
    when |= {"fork": False, "checkpoint": cell.checkpoint.id, **({"sm": cell.rig.sm} if cell.rig.sm else {})}
    return {**when, **({"features": sorted(cell.features)} if cell.features else {})}


def _sort_ends(versions: Sequence[str]) -> list[str]:
    """Return the oldest and the newest of these versions, or the one."""
    # the search may run from new to old, but a span in `when:` is always from old to new
    return sorted({versions[0], versions[-1]}, key=Version)


def _is_older(one: str, other: str) -> bool:
    return Version(one) < Version(other)


def _make_fails(shape: FailureShape, failure: ReproducedFailure) -> dict[str, Any]:
    result, found = failure.result, failure.finding
    if found is not None:
        return {
            "at": "test",
            "test": result.test,
            "how": result.how or "wrong_answer",
            "signature": make_answer_signature(found.check, found.detail),
        }
    # a launch has no test of its own: whichever test asked first reports it
    fails: dict[str, Any] = {"at": shape.at, **({"test": result.test} if shape.at == "test" else {})}
    fails |= {"how": result.how or "exit", "signature": make_launch_signature(find_cause(result.message))}
    return {**fails, **({"http_status": result.http_status} if result.http_status else {})}


def _say_symptom(regression: Regression, failure: ReproducedFailure) -> str:
    said = failure.finding.detail if failure.finding else find_cause(failure.result.message)
    first = regression.cell.release.version
    where = "Since" if _is_older(regression.last_good, first) else "Up to"
    parts = [f"{where} {first} (good: {regression.last_good}): {defuse_line(said, SYMPTOM_CHARS)}."]
    return " ".join([*parts, *([f"Smallest failing set: {regression.smallest}."] if regression.smallest else [])])


def _make_slug(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_")


def lint_entry(folder: Path, item: str, today: date) -> list[str]:
    """Lint the whole matrix with one more known failure, in a folder of links; what is wrong with it."""
    for source in HERE.iterdir():
        if source.name != LINKED and not source.name.startswith(("_", ".")):
            (folder / source.name).symlink_to(source, target_is_directory=source.is_dir())
    text = (HERE / LINKED).read_text(encoding="utf-8").rstrip()
    (folder / LINKED).write_text(f"{text}\n{item}", encoding="utf-8")
    try:
        matrix = read_matrix(folder)
        found = [*lint_known_failures(matrix, today), *lint_sources(matrix)]
    except ConfigError as error:
        found = list(error.problems)
    return [str(p) for p in found]
