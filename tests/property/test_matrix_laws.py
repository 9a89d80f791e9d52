"""Laws of every matrix: generated worlds obey them, not only the one in the repository."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.condition import compile_condition
from matrix.errors import suggest_nearest
from matrix.judging.status import SEVERITY, Status, worst_status
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import make_plan
from matrix.yaml.load import load_matrix
from tests.matrix.world import FILES, write

FEATURES = ["mtp", "indexcache"]
conditions = st.fixed_dictionaries(
    {},
    optional={
        "engine": st.just("toy"),
        "rig": st.sampled_from(["cpu", "sm120x1", "sm120x4"]),
        "sm": st.sampled_from([0, 120]),
        "release": st.sampled_from(["toy_1", "toy_2"]),
        "features": st.lists(st.sampled_from(FEATURES), min_size=1, max_size=2, unique=True),
        "form": st.sampled_from(["published", "recommended"]),
    },
)


def overlay(n: int, when: dict[str, object], value: int) -> str:
    return f"  - {{id: o{n}, when: {when}, args: {{--x: {value}}}, why: w, source: s}}\n"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(conditions, st.integers(0, 3)), max_size=5), st.randoms(use_true_random=False))
def test_planning_does_not_depend_on_the_order_of_overlays(
    entries: list[tuple[dict[str, object], int]], random: object
) -> None:
    shuffled = list(enumerate(entries))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    outcomes = []
    for order in (list(enumerate(entries)), shuffled):
        text = FILES["recipes/toy.yaml"] + "".join(overlay(n, w, v) for n, (w, v) in order)
        with tempfile.TemporaryDirectory() as folder:
            matrix = load_matrix(write(Path(folder), {"recipes/toy.yaml": text}))
        outcomes.append([_outcome(matrix, cell) for cell in expand_matrix(matrix).runnable])
    assert outcomes[0] == outcomes[1]


def _outcome(matrix: object, cell: object) -> object:
    try:
        made = make_plan(matrix, cell)  # type: ignore[arg-type]
        found = made.setting("args", "--x")
        return made.fingerprint, found.value if found else None
    except Exception as error:  # a contradiction must be one in either order
        return type(error).__name__


@settings(deadline=None)  # it writes and loads a matrix each time: a law is about answers, not about a busy machine
@given(conditions, conditions)
def test_adding_conditions_never_widens(a: dict[str, object], b: dict[str, object]) -> None:
    both = {**b, **a}
    narrow, wide = compile_condition(both), compile_condition(a)
    with tempfile.TemporaryDirectory() as folder:
        world = expand_matrix(load_matrix(write(Path(folder))))
    for cell in (*world.runnable, *world.excluded):
        assert not narrow(cell.facts) or wide(cell.facts)


def test_ids_and_the_verdict_are_unique_over_the_real_matrix() -> None:
    world = expand_matrix(load_matrix())
    ids = [c.id for c in (*world.runnable, *world.excluded)]
    assert len(ids) == len(set(ids))
    assert all("-" not in i for i in ids), "pytest separates parameters with '-'"


def test_every_runnable_cell_of_the_real_matrix_has_a_plan_whose_values_say_why() -> None:
    matrix = load_matrix()
    for cell in expand_matrix(matrix).runnable[::7]:
        made = make_plan(matrix, cell)
        for name, section in made.sections.items():
            assert all(s.why and s.source and ":" in s.where for s in section), (cell.id, name)


@given(st.lists(st.sampled_from(list(Status)), min_size=1))
def test_the_worst_status_does_not_depend_on_order_and_more_results_never_look_better(found: list[Status]) -> None:
    assert worst_status(found) == worst_status(reversed(found))
    assert all(
        SEVERITY.index(worst_status(found[: n + 1])) <= SEVERITY.index(worst_status(found[:n]))
        for n in range(1, len(found))
    )


def test_nothing_at_all_is_missing_not_green() -> None:
    assert worst_status([]) is Status.MISSING
    assert all(
        SEVERITY.index(a) < SEVERITY.index(b) for a, b in pairwise([Status.FAIL, Status.HOST_ERROR, Status.PASS])
    )


@given(st.text(max_size=12))
def test_the_nearest_word_never_fails(word: str) -> None:
    assert isinstance(suggest_nearest(word, ["sm90", "sm120"]), str)
