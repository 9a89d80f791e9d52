"""NaN is the worst of all numbers, wherever it stands; and no check or judge takes an extreme that passes it over."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from matrix.checkout import CHECKOUT
from matrix.judging.extremes import find_largest, find_smallest

ROOMS = ("suites/checks", "matrix/judging", "reports/compare")
ORDERS = frozenset({"max", "min", "sorted", "median", "quantiles"})  # what NaN makes a matter of order
WHOLE = "whole numbers or names"
# By module and function: why no NaN gets there. A new one is a question to its author, and then a line here.
ALLOWED = {
    "matrix/judging/drafting.py": {"most_made": "isfinite stands before it", "accepted_at": "ordered by place"},
    "matrix/judging/extremes.py": {"find_largest": "looks for NaN first", "find_smallest": "looks for NaN first"},
    "matrix/judging/identity.py": {"*": WHOLE},
    "matrix/judging/kl.py": {
        "merge_candidates": "a cap on one number: NaN stays NaN in either order that Python has here",
        "_spread_unlisted": "position_kl has asked _is_distribution",
        "_guess_factor": "the same; and a guess that is NaN is none",
        "shared": "position_kl has asked _is_distribution",
        "exceed": "position_kl has asked _is_distribution",
        "_mass_left": "position_kl has asked _is_distribution",
        "_normalise_masses": "position_kl has asked _is_distribution",
    },
    "matrix/judging/kv_bytes.py": {"__str__": "only shown", "match_layouts": WHOLE, "_iterate_matches": WHOLE},
    "matrix/judging/launch_causes.py": {"*": WHOLE},
    "matrix/judging/logprobs.py": {
        "likeliest_first": "NaN goes last by its key",
        "measure_distance": "isfinite stands before it",
    },
    "matrix/judging/observation.py": {"*": WHOLE},
    "matrix/judging/plan_without.py": {"*": WHOLE},
    "matrix/judging/proof/chunks.py": {"prove_by_probe": WHOLE},
    "matrix/judging/proof/layouts.py": {"*": WHOLE},
    "matrix/judging/proof/outcome.py": {"*": WHOLE},
    "matrix/judging/proof/sizes.py": {"*": WHOLE},
    "matrix/judging/roofline.py": {"find_floor": "published numbers, which lint holds finite", "_list_points": WHOLE},
    "matrix/judging/statistics.py": {
        "correct_holm": "p values of exact tests",
        "tolerance_of": "of a baseline: evidence holds finite numbers, see Outbox.measurement",
    },
    "reports/compare/ablation.py": {"_gather_numbers": "a NaN among them is shown as it is; nothing is judged by it"},
    "reports/compare/across_backends.py": {"find_backend_pairs": WHOLE, "_judge_pair": WHOLE},
    "reports/compare/baselines.py": {
        "list_values": "evidence holds finite numbers, see Outbox.measurement",
        "*": WHOLE,
    },
    "reports/compare/earlier_release.py": {
        "fit_release": WHOLE,
        "not_slower_than_release": "evidence holds finite numbers, see Outbox.measurement; a NaN ratio is slower",
    },
    "reports/compare/feature_pairs.py": {"*": WHOLE},
    "reports/compare/lost_answers.py": {"*": WHOLE},
    "reports/compare/prediction.py": {"judge_recordings": WHOLE},
    "reports/compare/same_answers.py": {"find_pairs": WHOLE, "_judge_pair": WHOLE},
    "reports/compare/slower.py": {"not_slower": "a NaN ratio is slower by its comparison"},
    "matrix/judging/trend.py": {"measure_trend": "isnan stands before it", "_p_value": "isnan stands before it"},
    "suites/checks/drift.py": {"check_answers": WHOLE},
    "suites/checks/answer.py": {"*": WHOLE},
    "suites/checks/constraints.py": {"*": WHOLE},
    "suites/checks/effective.py": {"*": WHOLE},
    "suites/checks/fields.py": {"join_choices": WHOLE},
    "suites/checks/history.py": {"_put_arguments": WHOLE},
    "suites/checks/greedy.py": {"find_unlikely_choice": "NaN is told before it"},
    "suites/checks/needle.py": {"*": WHOLE},
    "suites/checks/fair.py": {
        "check_overtaken": WHOLE,
        "count_overtakes": WHOLE,
        "_measure_lag": "times of this client's own clock; check_complete fails a result with NaN in it",
        "_share_within": "times of this client's own clock; check_complete fails a result with NaN in it",
    },
    "suites/checks/open_loop.py": {"count_good": WHOLE},
    "suites/checks/reuse.py": {"*": WHOLE},
    "suites/checks/stream_text.py": {"*": WHOLE},
    "suites/checks/text.py": {"*": WHOLE},
    "suites/checks/throughput.py": {
        "_count_idle_streams": "check_complete fails a result with NaN in it",
        "rate_by_wave": "check_complete fails a result with NaN in it",
        "check_cold_and_warm": "counts, and times of this client's own clock",
        "check_accuracy": WHOLE,
    },
    "suites/checks/token_limits.py": {"find_last_limit": WHOLE},
    "suites/checks/tool_choice.py": {"*": WHOLE},
    "suites/checks/tools.py": {"*": WHOLE},
}


@pytest.mark.parametrize("values", [[0.1, math.nan], [math.nan, 0.1], [math.nan]])
def test_nan_is_never_passed_over(values: list[float]) -> None:
    assert math.isnan(find_largest(values)) and math.isnan(find_smallest(values))


def test_numbers_are_compared_as_always() -> None:
    assert (find_largest([1.0, 3.0, 2.0]), find_smallest([1.0, 3.0, 2.0])) == (3.0, 1.0)
    assert (find_largest([]), find_smallest([], default=math.inf)) == (0.0, math.inf)


def find_orders(source: str) -> Iterator[tuple[str, str, int]]:
    """Yield function, what orders in it, and the line."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and (name := _called(node)) in ORDERS:
                    yield function.name, name, node.lineno


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _files() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((CHECKOUT / room).rglob("*.py"))


def test_no_check_takes_an_extreme_that_passes_nan_over() -> None:
    wrong = []
    for path in _files():
        name = path.relative_to(CHECKOUT).as_posix()
        allowed = ALLOWED.get(name, {})
        for function, order, line in find_orders(path.read_text("utf-8")):
            if function not in allowed and "*" not in allowed:
                wrong.append(f"{name}:{line}: {order} in {function}: use find_largest or find_smallest")
    assert not wrong, "\n".join(wrong)


def test_the_scan_sees_each_form() -> None:
    source = "def f(a, b):\n    x = max(a, b)\n    return statistics.median(sorted([min(a)]))\n"
    assert {order for _, order, _ in find_orders(source)} == {"max", "median", "sorted", "min"}


def test_no_line_of_the_table_is_left_over() -> None:
    used = {p.relative_to(CHECKOUT).as_posix(): {f for f, _, _ in find_orders(p.read_text("utf-8"))} for p in _files()}
    left = {(m, f) for m, functions in ALLOWED.items() for f in functions if f != "*" and f not in used.get(m, ())}
    assert left == set()
