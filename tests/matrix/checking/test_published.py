"""Lines that were published: none is wrong by mistake, and sources that contradict each other are both shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from matrix.checking.finding import LineJudgement
from matrix.checking.judge import CheckRequest, judge_command
from matrix.checking.releases import parse_release
from matrix.checking.rigs import parse_rig
from matrix.checking.sources import read_text

GOLDEN = Path(__file__).parents[2] / "golden"
PUBLISHED: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "published.yaml").read_text(encoding="utf-8"))


def judge_published(case: dict[str, Any]) -> LineJudgement:
    text = (GOLDEN / case["file"]).read_text(encoding="utf-8") if "file" in case else case["text"]
    commands, problems = read_text(text, case.get("file", "page.sh"))
    assert not problems
    assert len(commands) == 1
    asked = CheckRequest(
        release=parse_release(case["release"]) if "release" in case else None,
        host=parse_rig(case.get("rig") or case["gpus"]),
        config=case.get("config"),
        installed=case.get("installed", {}),
    )
    return judge_command(commands[0], asked)


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: str(case["id"]))
def test_a_published_line_is_not_wrong_by_mistake(case: dict[str, Any]) -> None:
    judged = judge_published(case)
    wrong = {finding.id for finding in judged.findings if finding.level == "wrong"}
    assert wrong == set(case.get("wrong", {})), [f.cause for f in judged.findings if f.level == "wrong"]
    shown = {finding.id for finding in judged.findings if finding.conflict}
    assert set(case.get("conflict", ())) <= shown


def test_ten_lines_are_from_elsewhere_than_the_seeds() -> None:
    assert len({case["id"] for case in PUBLISHED if "source" in case}) >= 10
