"""What the snapshots say of each step, and how much likelier it makes the step."""

from __future__ import annotations

from matrix.bisecting.posterior import make_prior
from matrix.bisecting.steps import MOST, compare_steps, say_news, weigh_news
from matrix.upgrading.of_cells import find_cell
from matrix.yaml.load import load_matrix

CELL = "sm120x4.sglang_0_5_17.glm51_478b_nvfp4.mtp"


def test_the_step_that_brings_a_known_hang_weighs_most() -> None:
    matrix = load_matrix()
    steps = compare_steps(matrix, find_cell(matrix, CELL), ("0.5.18", "0.5.19", "0.5.20"))
    assert [(s.before, s.after) for s in steps] == [("0.5.18", "0.5.19"), ("0.5.19", "0.5.20")]
    assert steps[0].weight > 3 * steps[1].weight and "FlashInfer" in steps[0].headline
    assert len(list(say_news(steps[0], 2))) == 3
    prior = make_prior([s.weight for s in steps])
    assert prior[1] > prior[2] > 0.2 and abs(sum(prior) - 1) < 1e-9


def test_a_release_without_a_snapshot_leaves_its_steps_as_likely_as_any() -> None:
    matrix = load_matrix()
    (step,) = compare_steps(matrix, find_cell(matrix, CELL), ("0.5.23", "0.5.23.post7"))
    assert step.weight == 1.0 and "0.5.23.post7 has no snapshot" in step.unread and not step.news


def test_no_news_weighs_one_and_much_news_is_bounded() -> None:
    matrix = load_matrix()
    (step,) = compare_steps(matrix, find_cell(matrix, CELL), ("0.5.18", "0.5.19"))
    assert weigh_news(()) == 1.0 < weigh_news(step.news[:1])
    assert weigh_news(step.news * 99) == MOST
