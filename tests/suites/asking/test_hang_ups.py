"""A hang-up is evidence where it fell into the work for somebody who stayed."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from suites.asking.hang_ups import met_a_stream

ITEM = Item(id="x", kind="long_generation", messages=({"role": "user", "content": "?"},))
STAYS = Reply(content="a", finish_reason="length", ttft_s=0.2, e2e_s=1.0)
WHOLE = Reply(content="a", finish_reason="length", e2e_s=1.0)
GONE = Reply(content="")


@pytest.mark.parametrize(
    ("stays", "left", "form", "met"),
    [
        (STAYS, GONE, {"patience_s": 0.5}, True),
        (STAYS, GONE, {"patience_s": 0.1}, False),  # before its first token
        (STAYS, GONE, {"patience_s": 1.5}, False),  # behind its end
        (STAYS, Reply(content="b", finish_reason="stop", e2e_s=0.5), {"patience_s": 0.5}, False),  # nobody hung up
        (STAYS, Reply(content="b", ttft_s=0.1, e2e_s=0.6), {"leave_after": 2}, True),
        (WHOLE, GONE, {"patience_s": 0.5}, False),  # when it was made is not told
    ],
)
def test_a_hang_up_meets_a_stream_that_is_being_made(
    stays: Reply, left: Reply, form: dict[str, Any], met: bool
) -> None:
    assert met_a_stream([(ITEM, {}), (ITEM, form)], [stays, left], spread_s=0.02) is met
