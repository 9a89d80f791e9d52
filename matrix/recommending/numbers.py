"""Context, speed and memory of a launch: each number with its source, none without one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple

from matrix.planning.fit import Fit, fit_of_plan
from matrix.planning.kv import GIB
from matrix.planning.plan import Plan
from matrix.recommending.ran import LastRun
from matrix.recorded import Measurement
from matrix.yaml.loaded import Matrix

Basis = Literal["measured here", "published", "arithmetic", "setting"]
SPEEDS: Final = ("decode_throughput", "output_throughput")
MEMORY: Final = {
    "weights_per_gpu": "weights per GPU",
    "kv_cache_per_gpu": "KV cache per GPU",
    "free_per_gpu": "free per GPU",
}
AT: Final = ("context_tokens", "prompt_tokens", "input_tokens")  # the lengths that a row may state
FIT: Final = "matrix/planning/fit.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number about a launch. `about`: context, speed or memory."""

    about: Literal["context", "speed", "memory"]
    what: str
    value: float
    unit: str
    basis: Basis
    source: str  # a file of this checkout
    conditions: Mapping[str, Any]
    detail: str = ""  # what that file cites, or the arithmetic in words
    disputed: str = ""  # what is known to be wrong with its source

    def __str__(self) -> str:
        said = ", ".join(f"{k.replace('_', ' ')} {_show_value(v)}" for k, v in self.conditions.items())
        return f"{self.what} {_show_value(self.value)} {self.unit}{f' ({said})' if said else ''}"


def _show_value(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}".rstrip("0")


def list_numbers(matrix: Matrix, plan: Plan, ran: LastRun | None = None) -> tuple[Number, ...]:
    """Return every number of a launch that has a source, in the order context, speed, memory."""
    rows = list(_list_published(matrix, plan))
    return (*_context(plan), *_speed_here(ran), *_pick_speeds(rows), *_iterate_memory(plan, rows))


def _context(plan: Plan) -> Iterator[Number]:
    setting = plan.setting("settings", "context")
    if setting is not None:
        place = f"matrix/{setting.where}"
        yield _make_number(
            "context", "window", int(setting.value), "tokens", basis="setting", source=place, detail=setting.source
        )
    fit = fit_of_plan(plan)
    if fit is not None:
        yield _make_number(
            "context",
            "room for",
            fit.largest_context_tokens,
            "tokens",
            basis="arithmetic",
            source=FIT,
            detail=fit.explain(),
        )


def _speed_here(ran: LastRun | None) -> Iterator[Number]:
    if ran is not None and ran.speed is not None:
        yield _make_number(
            "speed",
            "output",
            ran.speed,
            "tok/s",
            basis="measured here",
            source=ran.file,
            conditions=ran.conditions,
            detail=ran.describe(),
        )


class PublishedRow(NamedTuple):
    """One published row with its table's source."""

    said: Measurement
    source: str
    detail: str
    disputed: str


def _list_published(matrix: Matrix, plan: Plan) -> Iterator[PublishedRow]:
    """Rows of published tables that speak of this very launch."""
    for claim in matrix.claims:
        if claim.condition(plan.cell.facts):
            for row in claim.value.measurements:
                if speaks_of(matrix, plan, row.conditions):
                    yield PublishedRow(row, f"matrix/{claim.file}", claim.value.source, claim.value.disputed)


def speaks_of(matrix: Matrix, plan: Plan, conditions: Mapping[str, Any]) -> bool:
    """Whether a row's conditions are those of the plan: its features, its settings and the values of its flags.

    A condition that the plan says nothing about (the prompt, the concurrency) does not exclude the row.
    """
    for key, value in conditions.items():
        # features before settings: a row with mtp: false speaks of launches without it, not of all
        if key in matrix.features:
            if (key in plan.cell.features) != bool(value):
                return False
        elif key in plan.settings:
            if plan.settings[key] != value:
                return False
        elif (flag := _flag_named(plan, key)) is not None and str(flag) != str(value):
            return False
    return True


def _flag_named(plan: Plan, key: str) -> Any:
    """Return the value of the one flag whose name ends with the condition's: kv_splits -> --...-num-kv-splits."""
    end = key.replace("_", "-")
    found = [v for name, v in plan.values("args").items() if name == f"--{end}" or name.endswith(f"-{end}")]
    # two flags with such an ending: which one the table meant is not known, so it excludes nothing
    return found[0] if len(found) == 1 else None


def _pick_speeds(rows: Sequence[PublishedRow]) -> Iterator[Number]:
    """One user's speed at the shortest and at the longest context, and the highest of many users.

    Tables that nobody disputes come first; a disputed one is shown where there is no other, with what is wrong with it.
    """
    speeds = [r for r in rows if r.said.metric in SPEEDS]
    single = [r for r in speeds if r.said.conditions.get("concurrency") == 1]
    # a disputed row beside a sound one would only show that people disagree
    alone = sorted([r for r in single if not r.disputed] or single, key=lambda r: _length(r.said))
    many = [r for r in speeds if r.said.conditions.get("concurrency", 0) > 1]
    chosen = [*alone[:1], *alone[-1:]] if len(alone) > 1 else alone
    for row in [*chosen, *([max(many, key=lambda r: r.said.value)] if many else [])]:
        yield _published("speed", row.said.metric.removesuffix("_throughput"), row)


def _published(about: Literal["speed", "memory"], what: str, row: PublishedRow) -> Number:
    said = row.said
    conditions = said.conditions if about == "speed" else {}
    number = _make_number(
        about,
        what,
        said.value,
        said.unit,
        basis="published",
        source=row.source,
        conditions=conditions,
        detail=row.detail,
    )
    return replace(number, disputed=row.disputed)


def _length(row: Measurement) -> float:
    return next((float(row.conditions[key]) for key in AT if key in row.conditions), 0.0)


def _iterate_memory(plan: Plan, rows: Sequence[PublishedRow]) -> Iterator[Number]:
    for row in rows:
        if row.said.metric in MEMORY:
            yield _published("memory", MEMORY[row.said.metric], row)
    fit = fit_of_plan(plan)
    if fit is not None:
        yield from _arithmetic(plan, fit)


def _arithmetic(plan: Plan, fit: Fit) -> Iterator[Number]:
    checkpoint = plan.cell.checkpoint
    stated = checkpoint.size_source or checkpoint.source
    weights = round(fit.rank.weights_bytes / GIB, 1)
    size = f"{checkpoint.id} / {plan.cell.rig.gpus} GPUs; size: {stated}"
    yield _make_number("memory", "weights per GPU", weights, "GiB", basis="arithmetic", source=FIT, detail=size)
    layout = plan.setting("settings", "kv_layout")
    kept = f"layout {layout.value} (matrix/{layout.where})" if layout else ""
    kv_bytes = round(fit.rank.row_bytes * fit.needed_context_tokens / GIB, 1)
    yield _make_number(
        "memory", "KV cache per GPU at the window", kv_bytes, "GiB", basis="arithmetic", source=FIT, detail=kept
    )


def _make_number(
    about: Literal["context", "speed", "memory"],
    what: str,
    value: float,
    unit: str,
    *,
    basis: Basis,
    source: str,
    conditions: Mapping[str, Any] | None = None,
    detail: str = "",
) -> Number:
    given = conditions or {}
    return Number(
        about=about, what=what, value=value, unit=unit, basis=basis, source=source, conditions=given, detail=detail
    )
