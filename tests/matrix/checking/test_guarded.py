"""What the engines' own guards say of a line: each check is met by a line, and by no line without its addition."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from matrix.checking.conditions import decide_condition
from matrix.checking.judge import CheckRequest, Examined, examine_command
from matrix.checking.releases import parse_release
from matrix.checking.rigs import parse_rig
from matrix.checking.rules import read_guarded
from matrix.checking.sources import read_words
from matrix.checking.variables import as_words
from matrix.preflight.guards import read_guards

BASES = {
    "sglang": "sglang serve --model-path {model} --tp-size 8",
    "vllm": "vllm serve {model} -tp 8",
    "trtllm": "trtllm-serve {model} --tp_size 8",
}
LINES: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "guarded.yaml").read_text(encoding="utf-8"))
CASES = [(engine, name, case) for engine, cases in LINES.items() for name, case in cases.items()]
CHECKS = {check.id: check for engine in LINES for check in read_guarded(engine)}


def examine(engine: str, case: dict[str, Any], added: str, file: dict[str, Any] | None = None) -> Examined:
    """Examine the engine's base line with an addition, and with a configuration file behind `--config`."""
    line = f"{BASES[engine].format(model=case.get('model', 'zai-org/GLM-5-FP8'))} {added}"
    if file is not None:
        line += " --config /extra.yaml"
    (command,), problems = read_words(shlex.split(line))
    assert not problems
    newest = read_guards(engine).releases[-1]
    asked = CheckRequest(
        release=parse_release(f"{engine}=={case.get('release', newest)}"),
        host=parse_rig(case.get("gpus", "8x H200")),
        files={"/extra.yaml": yaml.safe_dump(file)} if file is not None else {},
    )
    return examine_command(replace(command, env={**command.env, **as_words(case.get("env", {}))}), asked)


@pytest.mark.parametrize(("engine", "name", "case"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_line_meets_its_check_and_the_line_without_does_not(engine: str, name: str, case: dict[str, Any]) -> None:
    met = {finding.id: finding for finding in examine(engine, case, case.get("add", ""), case.get("file")).findings}
    assert name in met, sorted(met)
    assert "{" not in met[name].cause
    decided = met[name].decided_by
    assert decided is not None
    assert decided.fact.count(":") == 1, "the guard's file and line"
    without = examine(engine, {**case, "env": {}}, "", case.get("base_file"))
    assert name not in {finding.id for finding in without.findings}
    if "quiet" in case or "quiet_file" in case:
        right = examine(engine, case, case.get("quiet", case.get("add", "")), case.get("quiet_file"))
        assert name not in {finding.id for finding in right.findings}
        assert not {"file_key_unknown", "file_value_refused"} & {finding.id for finding in right.findings}


def test_every_guarded_check_is_met_by_a_line() -> None:
    assert {name for _, name, _ in CASES} == set(CHECKS)


@pytest.mark.parametrize(("engine", "name", "case"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_release_without_the_guard_is_not_told(engine: str, name: str, case: dict[str, Any]) -> None:
    facts = examine(engine, case, case.get("add", ""), case.get("file")).facts
    if not CHECKS[name].becomes:  # those change the facts themselves
        assert decide_condition(CHECKS[name].when, facts) is True
    assert decide_condition({"guard": list(CHECKS[name].guard)}, {**facts, "guards": ()}) is False


def test_a_later_check_sees_the_value_that_the_release_puts_in_place() -> None:
    found = examine("sglang", {}, "--moe-a2a-backend deepep --enable-eplb")
    assert found.facts["ep"] == 8
    assert "balancing_without_spread_experts" not in {finding.id for finding in found.findings}


@pytest.mark.parametrize(("version", "level"), [("0.5.99", "unknown"), ("0.5.17+mine.1", "wrong")])
def test_of_a_release_that_was_not_read_a_guard_is_an_expectation(version: str, level: str) -> None:
    told = {f.id: f for f in examine("sglang", {"release": version}, "--enable-dp-lm-head").findings}
    found = told["head_per_group_without_groups"]
    assert found.level == level
    assert found.cause.startswith("As in 0.5.23 (expected, not read in this release): ") == (level == "unknown")
