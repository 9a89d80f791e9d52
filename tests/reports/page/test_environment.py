"""The policy of a page: one style and one script, named by hash; nothing else runs or loads."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from reports.page.environment import break_name, make_policy
from tests.reports import world
from tests.reports.rendered import render_pages
from tests.reports.test_pages import shown


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.mark.parametrize("element", ["script", "style"])
def test_the_policy_of_every_page_names_what_stands_in_it(element: str) -> None:
    for page in render_pages(shown(world.green())).split("<!doctype html>")[1:]:
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
        (body,) = re.findall(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)
        assert policy and f"{element}-src {digest(body)}" in policy[1]
        assert policy[1].startswith("default-src 'none';") and "unsafe" not in policy[1]


def test_a_page_without_a_script_allows_none() -> None:
    assert "script-src" not in make_policy()


def test_a_name_breaks_between_its_words_and_is_a_text_all_the_same() -> None:
    assert break_name("sm90x1.vllm_0<b>") == "sm90x1.<wbr>vllm_<wbr>0&lt;b&gt;"
