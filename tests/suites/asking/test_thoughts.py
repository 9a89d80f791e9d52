"""Where thoughts cannot be told from answers nothing is claimed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from matrix.model import Cell
from suites.asking.thoughts import require_separate_thoughts, separates_thoughts
from tests.suites.world import cell


def with_checkpoint(dialect: str, **changed: Any) -> Cell:
    made = cell(dialect)
    return replace(made, checkpoint=replace(made.checkpoint, **changed))


@pytest.mark.parametrize(("dialect", "separates"), [("llamacpp", True), ("vllm", False), ("trtllm", False)])
def test_llamacpp_reads_the_template_and_others_need_a_parser(dialect: str, *, separates: bool) -> None:
    assert separates_thoughts(with_checkpoint(dialect, parsers={})) is separates
    assert separates_thoughts(with_checkpoint(dialect, parsers={"stub": {"reasoning": "glm45"}}))


def test_a_launch_that_cannot_show_it_is_skipped_with_the_reason() -> None:
    require_separate_thoughts(with_checkpoint("llamacpp"))
    with pytest.raises(pytest.skip.Exception, match="NOT_EVIDENCE: canary never thinks"):
        require_separate_thoughts(with_checkpoint("llamacpp", thinking="never"))
    with pytest.raises(pytest.skip.Exception, match="NOT_EVIDENCE: stub is launched without a reasoning parser"):
        require_separate_thoughts(with_checkpoint("vllm", parsers={}))
