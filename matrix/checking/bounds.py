"""Numbers outside the bounds that the release's own fields have: `--gpu-memory-utilization 95`."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any, Final

from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.settings import UNKNOWN, Settings, read_number
from matrix.preflight.guards import Guard, read_guards

OPERATORS: Final = {
    "gt": (operator.gt, "above"),
    "ge": (operator.ge, "at least"),
    "lt": (operator.lt, "below"),
    "le": (operator.le, "at most"),
}
NUMBERS: Final = ("int", "float", "human_int")


def judge_bounds(facts: Mapping[str, Any], settings: Settings) -> Iterator[CheckFinding]:
    """Compare each number of the line with the bounds of the field of its name."""
    if facts["guards"] is UNKNOWN:
        return
    # a guard that bounds a field opens its words with the field's name: `gpu_memory_utilization gt=0 le=1`
    # fields of a draft's JSON are no flags: its max_model_len starts at 1, and --max-model-len takes -1
    bounded = {
        guard.says.partition(" ")[0]: guard
        for guard in facts["guards"]
        if guard.does == "bounds" and not guard.at.startswith("config/speculative.py")
    }
    for use in settings.uses:
        guard = bounded.get(use.flag.dest) if use.flag is not None and use.flag.type in NUMBERS else None
        # the last value counts, as for the parser; one behind an unset variable is not known, and so not out of bounds
        number = (
            read_number(use.values[-1])
            if guard is not None and use.values and use.written not in settings.holes
            else None
        )
        if guard is not None and number is not None and (wanted := _broken(guard, number)):
            place = read_guards(facts["engine"]).cite(guard)
            subject, line = f"{use.written} {use.values[-1]}", settings.lines.get(use.written, 0)
            yield make_finding(
                "value_out_of_bounds", facts, subject, line=line, option=use.written, wanted=wanted, place=place
            )


def _broken(guard: Guard, number: float) -> str:
    """Return all bounds in words where one is broken, else nothing."""
    bounds = [part.split("=") for part in guard.says.split()[1:]]
    kept = all(OPERATORS[name][0](number, float(limit)) for name, limit in bounds)
    return "" if kept else " and ".join(f"{OPERATORS[name][1]} {limit}" for name, limit in bounds)
