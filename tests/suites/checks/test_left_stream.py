"""A stream that was left costs no more work, and nobody waits behind it; a short reply says nothing of either."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixtures.banks.item import Item
from suites.checks.left_stream import LeftStream, check_left_stream

ITEM = Item(id="i", kind="fact", messages=())
STOPPED = LeftStream(tokens=200, made=5.0, took_s=4.0, waited_s=0.0)


@pytest.mark.parametrize(
    ("left", "ok", "sensitive"),
    [
        (STOPPED, True, True),
        (replace(STOPPED, made=None), True, True),
        (replace(STOPPED, made=100.0), True, True),  # noticed late, half way
        (replace(STOPPED, made=200.0), False, True),
        (replace(STOPPED, made=180.0), False, True),
        (replace(STOPPED, waited_s=3.9), False, True),
        (replace(STOPPED, made=None, waited_s=3.0), False, True),
        (replace(STOPPED, made=200.0, took_s=1.0), True, False),  # too short to notice
        (replace(STOPPED, waited_s=9.0, took_s=1.0), True, False),
    ],
)
def test_only_work_that_could_have_stopped_is_judged(left: LeftStream, *, ok: bool, sensitive: bool) -> None:
    found = check_left_stream(ITEM, left, seconds=4.0)
    assert (found.ok, found.sensitive) == (ok, sensitive)
    assert bool(found.detail) is not ok
