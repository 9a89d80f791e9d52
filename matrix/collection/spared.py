"""Spares the items of cells two walks of pytest's own over all items, whose results are known before: a quarter of what
`pytest -m sm120 --collect-only` costs.

pytest evaluates `-m` for each item again, although an item that it does not leave was never made (`wanted`), and it
looks in four scopes for parameters to order the items by, of which those of cells have none. Both functions are private
to pytest, which is pinned; a test holds each result against pytest's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from typing import Any

import pytest
from _pytest import fixtures, mark

from matrix.collection.items import CellItem


def spare_items(config: pytest.Config) -> None:
    """Let pytest walk over the items of cells only where the result may differ, until the run ends."""
    # pytest calls both inside its own hooks: a hook of ours could only hide the items from every other plugin, too.
    reorder, deselect = fixtures.reorder_items, mark.deselect_by_mark

    def restore() -> None:
        fixtures.reorder_items, mark.deselect_by_mark = reorder, deselect

    @wraps(reorder)
    def reorder_others(items: Sequence[pytest.Item]) -> list[pytest.Item]:
        return list(items) if all(map(has_no_order, items)) else reorder(items)

    @wraps(deselect)
    def deselect_others(items: list[pytest.Item], config: pytest.Config) -> None:
        if config.option.all_cells or "(" in config.option.markexpr:  # a word with arguments, or a mark that came late
            deselect(items, config)
            return
        others = [item for item in items if not is_light(item)]
        before = set(others)
        deselect(others, config)  # without items, too: it refuses an expression that does not parse
        if gone := before - set(others):
            items[:] = [item for item in items if item not in gone]

    fixtures.reorder_items, mark.deselect_by_mark = reorder_others, deselect_others
    config.add_cleanup(restore)


def is_light(item: pytest.Item) -> bool:
    """Whether the item is as we made it: who adds a mark to one makes it whole."""
    return isinstance(item, CellItem) and not item.whole


def has_no_order(item: Any) -> bool:
    """Whether pytest would find no parameter to order the item by."""
    return is_light(item) and item.template.of_function
