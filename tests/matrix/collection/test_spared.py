"""What pytest is spared comes to what pytest itself would have made of it, and whatever else it meets it judges."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from _pytest import fixtures, mark

from matrix.collection.spared import has_no_order, spare_items
from tests.matrix.collection.test_items import Made, made

__all__ = ["made"]


@pytest.fixture
def cleanups() -> Iterator[list[Callable[[], None]]]:
    """Spare the items as in a run, and end it afterwards."""
    ends: list[Callable[[], None]] = []
    before = fixtures.reorder_items, mark.deselect_by_mark
    spare_items(SimpleNamespace(add_cleanup=ends.append))  # type: ignore[arg-type]
    yield ends
    for end in ends:
        end()
    assert (fixtures.reorder_items, mark.deselect_by_mark) == before


def deselect(items: list[Any], expression: str, *, all_cells: bool = False) -> tuple[list[Any], list[Any]]:
    """Return what the marks leave, and what they were told to have left out."""
    left, gone = list(items), list[Any]()

    def tell(items: list[Any]) -> None:
        gone.extend(items)

    config = SimpleNamespace(
        option=SimpleNamespace(markexpr=expression, all_cells=all_cells),
        getini=lambda _: None,
        hook=SimpleNamespace(pytest_deselected=tell),
    )
    mark.deselect_by_mark(left, config)  # type: ignore[arg-type]
    return left, gone


@pytest.mark.usefixtures("cleanups")
def test_the_order_is_pytests(made: Made) -> None:
    items = [item for _ in range(3) for item in made.light()]
    assert all(map(has_no_order, items))
    assert fixtures.reorder_items(items) == inspect.unwrap(fixtures.reorder_items)(items) == items


@pytest.mark.usefixtures("cleanups")
def test_an_item_with_a_parameter_of_a_wider_scope_is_ordered_by_pytest(made: Made) -> None:
    wide = made.light()[0]
    wide.template.of_function = False
    assert not has_no_order(wide)
    own = [*made.own, wide]
    assert fixtures.reorder_items(own) == inspect.unwrap(fixtures.reorder_items)(own)


@pytest.mark.usefixtures("cleanups")
def test_only_items_as_we_made_them_are_not_asked_for_their_marks_again(made: Made) -> None:
    light, late = made.light(), made.light()[0]
    late.add_marker("late")
    assert deselect([*light, late, *made.own], "of_module and not late") == ([*light, *made.own], [late])
    assert deselect([*light, *made.own], "long")[1] == [i for i in made.own if not i.get_closest_marker("long")]


@pytest.mark.usefixtures("cleanups")
@pytest.mark.parametrize("options", [{"expression": "cell(rig='x')"}, {"expression": "long", "all_cells": True}])
def test_words_with_arguments_and_marks_that_come_late_are_pytests(made: Made, options: dict[str, Any]) -> None:
    assert len(deselect(made.light(), **options)[1]) >= 2


@pytest.mark.usefixtures("cleanups")
def test_an_expression_that_does_not_parse_is_refused_without_items() -> None:
    with pytest.raises(pytest.UsageError, match="Wrong expression"):
        deselect([], "mtp and")
