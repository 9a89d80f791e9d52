"""`pytest --dummy-weights`: start the selected plans with weights that the engine makes up, and ask for one token.

The tier in front of a big checkpoint (`glm-matrix plan`): kernels, shapes and memory are tried in minutes, and no shard
is read. The plans have another fingerprint, so that no gate takes such a run for an answer about the cell.
"""

from __future__ import annotations

from typing import Final

import pytest

from matrix.planning.plan import Plan
from matrix.scheduling.dummy import with_dummy_weights
from matrix.scheduling.groups import DUMMY_OPTION

GROUP: Final = "GLM-5 serving matrix"  # whichever plugin is asked first names the group
FIRST_TOKEN: Final = "test_answers_first_token"  # noqa: S105  a test's name


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("matrix", GROUP).addoption(
        DUMMY_OPTION,
        action="store_true",
        help="start engines with weights that they make up (--load-format dummy) and ask for one token:"
        " does the plan start at all?",
    )


def change_plan(config: pytest.Config, plan: Plan) -> Plan:
    """Return the plan that this run starts.

    Raises:
        pytest.UsageError: the engine is not known to make up weights.
    """
    if not config.getoption(DUMMY_OPTION):
        return plan
    if (dummy := with_dummy_weights(plan)) is None:
        raise pytest.UsageError(
            f"{DUMMY_OPTION}: {plan.cell.release.id} is not known to start without weights ({plan.cell.id})"
        )
    return dummy


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Ask for the first token alone: made-up weights answer no question."""
    if not config.getoption(DUMMY_OPTION):
        return
    # `originalname`: an item of a cell has its id in its name.
    others = [i for i in items if getattr(i, "originalname", "") != FIRST_TOKEN]
    config.hook.pytest_deselected(items=others)
    gone = set(others)
    items[:] = [i for i in items if i not in gone]
