"""Launch lines as data: every kind of pair, and controls of the same shape that stay quiet."""

from __future__ import annotations

import json
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci.reference.recall import read_rows
from matrix.checking.finding import LineJudgement
from matrix.checking.judge import CheckRequest, judge_command
from matrix.checking.releases import parse_release
from matrix.checking.rigs import parse_rig
from matrix.checking.rules import read_book
from matrix.checking.sources import read_text, read_words
from matrix.checking.variables import as_words

HERE = Path(__file__).parent
PATTERN = "FFSFSSSFSSFFFSSSFFFSFSSSSSSFFSFFSFFSSFFFFFFSFFFFFSFFSSSSSSFSFFFSFSSSFSFFSFFSSS"
LINES: list[dict[str, Any]] = yaml.safe_load((HERE / "lines.yaml").read_text(encoding="utf-8"))


def judge_line(case: dict[str, Any]) -> LineJudgement:
    """Judge a line, once for all tests that ask: judging all takes seconds."""
    return judge_written(json.dumps(case, sort_keys=True, default=str))


@cache
def judge_written(written: str) -> LineJudgement:
    case = json.loads(written)
    commands, problems = read_words(shlex.split(case["line"].replace("{P78}", PATTERN)))
    assert not problems
    command = commands[0]
    env = {**command.env, **as_words(case.get("env", {}))}
    asked = CheckRequest(
        release=parse_release(case["release"]),
        host=parse_rig(case.get("rig") or case["gpus"]),
        config=case.get("config"),
        installed=case.get("installed", {}),
        files=case.get("files", {}),
    )
    return judge_command(
        type(command)(**{**{f: getattr(command, f) for f in command.__dataclass_fields__}, "env": env}), asked
    )


@pytest.mark.parametrize("case", LINES, ids=lambda case: str(case["id"]))
def test_line_gets_its_verdict(case: dict[str, Any]) -> None:
    judged = judge_line(case)
    told = {finding.id: finding.level for finding in judged.findings}
    for finding, level in case.get("says", {}).items():
        assert told.get(finding) == level, told
    assert not set(case.get("quiet", ())) & set(told)
    if "verdict" in case:
        assert judged.verdict == case["verdict"], told
    assert judged.verdict != case.get("not"), told


def test_every_finding_says_cause_consequence_remedy_and_source() -> None:
    for case in LINES:
        for finding in judge_line(case).findings:
            if finding.level in ("wrong", "risky"):
                assert finding.cause
                assert finding.consequence
                assert finding.decided_by
                assert finding.sources
                assert "{" not in finding.cause.replace('{"', "").replace("{'", ""), finding.cause


def test_the_worst_comes_first() -> None:
    for case in LINES:
        ranks = [finding.rank for finding in judge_line(case).findings]
        assert ranks == sorted(ranks)


def test_each_line_has_a_name_of_its_own() -> None:
    assert len({case["id"] for case in LINES}) == len(LINES)


def test_every_check_is_met_by_a_line() -> None:
    """A check that no line here and no row of the recall page meets is no better than a remark in a book."""
    met = {name for case in LINES for name in case.get("says", {})} | {row.by for row in read_rows()}
    ids = {check.id for check in read_book().checks}
    assert ids - met == set()


def test_what_the_line_leaves_out_is_named_as_its_own_engine_calls_it() -> None:
    (command,), _ = read_words(shlex.split("vllm serve zai-org/GLM-5.2-FP8 -tp 8 --kv-cache-dtype fp8"))
    judged = judge_command(command, CheckRequest(release=parse_release("vllm==0.24.0"), host=parse_rig("8x H200")))
    told = {word for finding in judged.findings for word in finding.subject}
    assert "--max-model-len" in told and "--context-length" not in told


@pytest.mark.parametrize(
    ("words", "told"),
    [("", True), (' "$@"', False), (" $EXTRA_ARGS", False), (' "$@" -tp 1', False), (" --seed $SEED", True)],
)
def test_words_that_a_script_hands_on_may_give_the_sizes(words: str, *, told: bool) -> None:
    """A wrapper without sizes is not said to be too large; a value that is unknown is no word of its own."""
    (command,), _ = read_text(f"vllm serve zai-org/GLM-5.2-FP8{words}\n", "run.sh")
    judged = judge_command(command, CheckRequest(release=parse_release("vllm==0.33.0"), host=parse_rig("8x B200")))
    assert ("weights_do_not_fit" in {finding.id for finding in judged.findings}) == told
