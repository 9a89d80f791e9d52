"""Cached tokens are no more than was computed and no less than the turn before, but for pages and the frame."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from suites.checks.reuse import check_cached, check_told_cached

ITEM = Item(id="x.2", kind="needle", messages=({"role": "user", "content": "And the other?"},), answer="a1b2c3")
BEFORE = Reply(content="a1b2c3", prompt_tokens=1000, completion_tokens=20)
NOW = Reply(content="d4e5f6", prompt_tokens=1060, completion_tokens=20)


@pytest.mark.parametrize(
    ("cached", "page", "ok", "sensitive"),
    [
        (1020, 1, True, True),
        (960, 64, True, True),
        (856, 1, True, True),  # two pages of 64, which sparse backends force, and the frame
        (855, 1, False, True),
        (472, 256, True, True),
        (0, 1, False, True),
        (1021, 1, False, True),  # more than was computed
        (2000, 1, False, True),  # more than the prompt
        (float("nan"), 1, False, True),
        (None, 1, True, False),
    ],
)
def test_cached_tokens_have_two_bounds(cached: float | None, page: int, ok: bool, sensitive: bool) -> None:
    found = check_cached(ITEM, BEFORE, NOW, cached, page=page)
    assert (found.ok, found.sensitive) == (ok, sensitive)


def test_a_turn_that_another_rank_may_serve_has_one_bound() -> None:
    assert check_cached(ITEM, BEFORE, NOW, 0, page=1, kept=False).ok
    more = check_cached(ITEM, BEFORE, NOW, 1021, page=1, kept=False)
    assert (more.ok, more.sensitive, more.item) == (False, True, ITEM.id), "with one bound it can fail all the same"


def test_a_prompt_under_the_loss_of_pages_proves_nothing() -> None:
    short = Reply(content="x", prompt_tokens=140, completion_tokens=5)
    assert not check_cached(ITEM, short, NOW, 0, page=64).sensitive


def test_usage_that_is_not_told_adds_nothing_to_either_bound() -> None:
    """Where an engine counts no completion, nothing of it may have been cached; without a prompt, nothing at all."""
    bare = replace(BEFORE, completion_tokens=None)
    assert check_cached(ITEM, bare, NOW, 1000, page=1).ok
    assert not check_cached(ITEM, bare, NOW, 1001, page=1).ok
    for before, now in ((BEFORE, replace(NOW, prompt_tokens=None)), (replace(bare, prompt_tokens=None), NOW)):
        assert not check_cached(ITEM, before, now, 1, page=1, kept=False).ok


def test_a_finding_tells_both_bounds_and_what_was_told() -> None:
    less, more, untold = (check_cached(ITEM, BEFORE, NOW, cached, page=1) for cached in (855, 1021, None))
    assert less.expected == "856 to 1020 of 1060 prompt tokens from the cache"
    assert (less.got, more.got, untold.got) == ("855", "1021", "not told")
    assert less.detail == "855 cached tokens of the 1000 that the turn before computed"
    assert more.detail == "1021 cached tokens, and only 1020 could be" and untold.detail == ""
    assert less.data == {"prompt_tokens": 1060, "cached_tokens": 855, "least": 856, "most": 1020}
    one = replace(BEFORE, prompt_tokens=145)  # two pages of 64 and the frame leave one token
    assert check_cached(ITEM, one, NOW, 1, page=1).sensitive


@pytest.mark.parametrize(
    ("whole", "streamed", "ok", "sensitive"),
    [(64, 64, True, True), (64, 0, False, True), (64, None, False, True), (0, 0, True, False), (None, 8, True, False)],
)
def test_a_stream_tells_what_was_cached_where_a_whole_reply_does(
    whole: int | None, streamed: int | None, *, ok: bool, sensitive: bool
) -> None:
    found = check_told_cached(ITEM, replace(NOW, cached_tokens=streamed), replace(NOW, cached_tokens=whole))
    assert (found.ok, found.sensitive) == (ok, sensitive)
