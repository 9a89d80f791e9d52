"""What a night does, once: every CI system's file is made of these steps. They are POSIX shell without backslashes, so
that YAML, Groovy and sh hold them unchanged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from ci.runners import load_runners
from matrix.errors import ConfigError, Problem
from matrix.yaml.loaded import Matrix
from reports.gate.policy import expect_cells, load_policy

OUT: Final = "reports/out"
NAMES: Final = re.compile(r"[A-Za-z0-9_./-]+")  # of a policy's file: it stands in four languages without quotes
TIMES: Final = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7)}
PART: Final = re.compile(r"(?:\*|(?P<low>\d{1,2})(?:-(?P<high>\d{1,2}))?)(?:/(?P<step>\d{1,2}))?", re.ASCII)
SPARE_MIN: Final = 120  # beyond the budget, before a job is killed: durations are estimates
ENVIRONMENT: Final = "make env"
PLAN: Final = '.venv/bin/glm-matrix plan --policy "$POLICY" --budget "$BUDGET"'
# An older night's evidence must not answer for one that did not start. The gate judges what pytest left, red or not.
CELLS: Final = f"""\
rm -rf {OUT}
mkdir -p {OUT}
words=$(.venv/bin/glm-matrix plan --policy "$POLICY" --budget "$BUDGET" --words)
# shellcheck disable=SC2086 # a word for each cell
.venv/bin/python -m pytest $words --evidence {OUT}/evidence.jsonl --junitxml {OUT}/junit.xml || echo "pytest: exit $?"
"""
JUDGE: Final = f'.venv/bin/glm-matrix report --policy "$POLICY" --evidence {OUT}/evidence.jsonl --out {OUT}'
# After a kill, logs are left unredacted. Nothing is uploaded before.
REDACT: Final = f"[ ! -d {OUT}/logs ] || .venv/bin/glm-matrix redact {OUT}/logs"


@dataclass(frozen=True, slots=True)
class RecipeStep:
    """One step: its name, and the commands of it."""

    name: str
    script: str


STEPS: Final = (
    RecipeStep("environment", ENVIRONMENT),
    RecipeStep("plan", PLAN),
    RecipeStep("cells", CELLS),
    RecipeStep("verdict", JUDGE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """When what is run, and on which machine."""

    policy: str  # file, relative to the checkout
    rig: str
    labels: tuple[str, ...]  # of the machine
    budget_h: float = 8.0
    at: str = "17 22 * * *"  # cron: minute, hour, day, month, weekday

    @property
    def budget(self) -> str:
        """The budget as `--budget` reads it: whole hours, or minutes."""
        minutes = max(1, round(self.budget_h * 60))
        return f"{minutes}m" if minutes % 60 else f"{minutes // 60}h"

    @property
    def timeout_min(self) -> int:
        return round(self.budget_h * 60) + SPARE_MIN


def make_night(matrix: Matrix, policy: str, *, budget_s: float, at: str, labels: tuple[str, ...] = ()) -> Night:
    """Read a policy and return its night. `labels`: of the machine, else those of ci/runners.yaml.

    Raises:
        ConfigError: no such policy, its cells are of several rigs, or a word that no CI file could hold.
    """
    where = PurePosixPath(policy)
    if not NAMES.fullmatch(policy) or policy.startswith("-") or where.is_absolute() or ".." in where.parts:
        raise _refuse("--policy", policy, "expected a file below the checkout, of letters, digits and _./-")
    if why := find_cron_fault(at):
        raise _refuse("--at", at, why)
    if wrong := [word for word in labels if not NAMES.fullmatch(word)]:
        raise _refuse("--labels", wrong[0], "expected letters, digits and _./-")
    rigs = sorted({cell.rig.id for cell in expect_cells(*load_policy(Path(policy)), matrix) if cell.rig})
    if len(rigs) != 1:
        message = f"its cells are of {', '.join(rigs)}: a night is of one machine; for several: glm-matrix submit"
        raise _refuse("--policy", policy, message)
    served = load_runners(matrix.rigs)[rigs[0]]
    own = labels or (served.labels if served.serves else ("self-hosted", rigs[0]))
    return Night(policy=policy, rig=rigs[0], labels=own, budget_h=budget_s / 3600, at=at)


def find_cron_fault(at: str) -> str:
    """Return what no cron could read in `at`, or "": a CI system drops such a schedule, and the night never runs."""
    fields = at.split(" ")
    if len(fields) != len(TIMES):
        return "expected five fields of cron, e.g. '17 22 * * *'"
    for field, (name, (least, most)) in zip(fields, TIMES.items(), strict=True):
        for part in field.split(","):
            found = PART.fullmatch(part)
            if found is None or found["step"] in ("0", "00"):
                return f"{name} {field!r}: expected *, numbers, 1-5 or */2"
            low, high = (int(n) if n else least for n in (found["low"], found["high"] or found["low"]))
            if not least <= low <= high <= most:
                return f"{name} {field!r}: expected {least} to {most}, the smaller first"
    return ""


def _refuse(option: str, value: str, message: str) -> ConfigError:
    return ConfigError([Problem(option, 0, repr(value), message)])
