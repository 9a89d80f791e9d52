"""What a seed is worth. How a model rounds needs torch; what is made of it does not."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.banks.canary_bank import UNSURE
from lab.references import choose_undecided_prompt as unsure
from lab.references.choose_undecided_prompt import Worth, list_roundings
from matrix.yaml.load import load_matrix
from suites.measure.references import PRUNED, SOURCE

NATS = st.floats(min_value=1e-9, max_value=10.0)


def says(chance: float) -> list[dict[str, float]]:
    """One position: yes with this chance, else no."""
    return [{"yes": math.log(chance), "no": math.log(1 - chance)}]


def test_the_margin_is_half_the_way_to_the_next_pattern_over_the_worst_rounding() -> None:
    worth = Worth(apart=0.3, costs={"bf16": 0.001, "w4a16": 0.05})
    assert worth.margin == pytest.approx(3.0)
    assert str(worth) == "margin 3.0, apart 3.0e-01: bf16 1.0e-03, w4a16 5.0e-02"


@given(apart=NATS, costs=st.dictionaries(st.text(min_size=1), NATS, min_size=1), more=NATS)
def test_another_rounding_never_makes_a_seed_worth_more(apart: float, costs: dict[str, float], more: float) -> None:
    assert Worth(apart=apart, costs={**costs, "": more}).margin <= Worth(apart=apart, costs=costs).margin


@given(st.lists(st.floats(min_value=0.01, max_value=0.99), min_size=2, max_size=4))
def test_the_nearest_two_patterns_decide_in_either_direction(chances: list[float]) -> None:
    ways = {str(i): says(chance) for i, chance in enumerate(chances)}
    found = unsure.measure_nearest(ways)
    assert found == unsure.measure_nearest(dict(reversed(ways.items())))
    assert all(found <= unsure.measure_nearest({a: ways[a], b: ways[b]}) for a in ways for b in ways if a != b)


def test_every_format_of_the_family_is_rounded_and_pruned_members_are_held_against_themselves() -> None:
    checkpoints = load_matrix().checkpoints
    assert {r.weights for r in list_roundings(SOURCE)} == {SOURCE, *unsure.QUANTISED.values()} <= set(checkpoints)
    assert {checkpoints[name].made_by for name in unsure.QUANTISED.values()} == set(unsure.QUANTISED)
    for pruned in (f"canary_{name}" for name in PRUNED):
        assert {r.weights for r in list_roundings(pruned)} == {pruned}


def test_what_is_in_use_is_what_the_command_makes() -> None:
    """By its defaults at 2048: a seed that it prints can be put in as it is."""
    assert {shape["codes"] for shape in UNSURE.values()} == {unsure.CODES}
    assert {shape["tokens"] for (topk, _), shape in UNSURE.items() if topk == 2048} == {3000}


@pytest.mark.parametrize(("kind", "largest"), [("exact", 2**-4), ("power_of_two", 2**-4), ("rotated", 2**-2)])
def test_8_bits_cost_what_three_bits_of_mantissa_do(kind: str, largest: float) -> None:
    torch = pytest.importorskip("torch", reason="torch is needed only to choose a prompt")
    values = torch.randn(5, 2 * unsure.BLOCK, generator=torch.Generator().manual_seed(0))
    error = (unsure.in_8_bits(values, kind) - values).abs()
    assert 0 < error.max() <= largest * values.abs().max()
    assert torch.equal(unsure.in_8_bits(0 * values, kind), 0 * values)
