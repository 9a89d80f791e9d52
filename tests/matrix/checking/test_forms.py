"""Dockerfiles, units, Helm values, files of variables, runners in front: what starts, with which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from matrix.checking.judge import CheckRequest, judge_command
from matrix.checking.launchers import Command
from matrix.checking.rigs import parse_rig
from matrix.checking.sources import read_text

SERVE = "python -m sglang.launch_server"
FORMS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "forms.yaml").read_text(encoding="utf-8"))


def beside(path: str) -> str | None:
    return {"beside.env": "A=beside\n"}.get(path)


def read_one(name: str, text: str) -> Command:
    commands, problems = read_text(text, name, beside)
    assert not problems
    assert len(commands) == 1
    return commands[0]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form['name']} {form['wanted']['argv']}")
def test_a_form_gives_the_words_and_the_environment_of_what_it_starts(form: dict[str, Any]) -> None:
    command, wanted = read_one(form["name"], form["text"]), form["wanted"]
    assert " ".join(w.text for w in command.argv) == wanted["argv"]
    for variable, value in wanted.get("env", {}).items():
        assert command.env[variable].text == value
    if "image" in wanted:
        assert command.image is not None
        assert command.image.text == wanted["image"]
    assert command.gpus == wanted.get("gpus", command.gpus)
    assert command.line == wanted.get("line", command.line)
    assert dict(command.installed) == wanted.get("installed", dict(command.installed))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.sh", "docker run --env-file gone.env lmsysorg/sglang:v0.5.23 sglang serve --model-path /w --tp-size 2"),
        ("x.service", f"[Service]\nEnvironmentFile=-gone.env\nExecStart={SERVE} --model-path /w --tp-size 2\n"),
    ],
)
def test_a_file_of_variables_that_is_not_here_is_told_and_leaves_them_open(name: str, text: str) -> None:
    judged = judge_command(read_one(name, text), CheckRequest(host=parse_rig("sm120x2")))
    told = {finding.id for finding in judged.findings}
    assert "environment_file_absent" in told
    assert "first_all_reduce_over_pcie" not in told, "NCCL_P2P_DISABLE may stand in the file"


def test_values_of_a_chart_say_how_they_were_read() -> None:
    text = "image: {repository: vllm/vllm-openai, tag: v0.28.0}\nargs: [--model, zai-org/GLM-5-FP8]\n"
    told = {finding.id for finding in judge_command(read_one("values.yaml", text), CheckRequest()).findings}
    assert "form_read_by_names" in told


@pytest.mark.parametrize("name", ["Dockerfile", "a.service", "values.yaml"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "FROM",
        "FROM x\nCMD [",
        "FROM x\nENTRYPOINT \\",
        "FROM a AS b\nFROM b AS a\nFROM a",
        "[Service]\nExecStart=",
        "[Service]",
        "image: {repository: vllm}\nargs: {a: [b]}",
    ],
)
def test_no_text_raises(name: str, text: str) -> None:
    read_text(text, name)
