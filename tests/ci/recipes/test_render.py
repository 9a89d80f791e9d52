"""Every CI file runs the same steps, is read by its system's schema or parser, and ends as the gate does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci.recipes.command import FILES, FOLDER, main, make_samples
from ci.recipes.render import FORMS
from ci.recipes.steps import Night, find_cron_fault, make_night
from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError
from matrix.yaml.load import load_matrix
from reports.planning.quantities import parse_duration

NIGHT = Night(policy="ci/gates/starter/sm120x4.yaml", rig="sm120x4", labels=("gpu", "sm120"))
SCHEMAS = {
    "github": "vendor.github-workflows",
    "gitlab": "vendor.gitlab-ci",
    "buildkite": "vendor.buildkite",
}
BIN = Path(sys.executable).parent


def read_scripts(form: str) -> list[str]:
    """Return the shell of a form in the order in which its system runs it; what runs at the end comes last."""
    text = FORMS[form](NIGHT)
    if form == "script":
        return [text]
    if form == "cron":
        return []
    if form == "jenkins":
        return re.findall(r"sh '''(.*?)'''", text, re.DOTALL)
    data: Any = yaml.safe_load(text)
    if form == "github":
        return [step["run"] for step in data["jobs"]["night"]["steps"] if "run" in step]
    if form == "gitlab":
        return [*data["night"]["script"], *data["night"]["after_script"]]
    return [data["steps"][0]["command"].replace("$$", "$")]


def test_the_committed_files_are_what_the_code_renders() -> None:
    for path, text in make_samples().items():
        assert (CHECKOUT / path).read_text("utf-8") == text, "run: python -m ci.recipes"
    assert {p.name for p in (CHECKOUT / FOLDER).iterdir()} == set(FILES.values())


@pytest.mark.parametrize("form", SCHEMAS)
def test_the_schema_of_its_system_takes_it(form: str, tmp_path: Path) -> None:
    (tmp_path / "night.yml").write_text(FORMS[form](NIGHT))
    check = [str(BIN / "check-jsonschema"), "--builtin-schema", SCHEMAS[form], str(tmp_path / "night.yml")]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("form", [f for f in FORMS if f != "cron"])
def test_its_shell_is_plain_and_sound(form: str, tmp_path: Path) -> None:
    scripts = read_scripts(form)
    assert scripts and not any("\\" in script for script in scripts)
    for number, script in enumerate(scripts):
        file = tmp_path / f"{number}.sh"
        file.write_text(
            script if script.startswith("#!") else f"#!/bin/sh\nPOLICY=p BUDGET=8h; : $POLICY $BUDGET\n{script}\n"
        )
        for check in (["sh", "-n"], ["bash", "-n"], [str(BIN / "shellcheck")]):
            done = subprocess.run([*check, str(file)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


@cache
def find_java() -> str | None:
    java = shutil.which("java")
    return str(Path(java).resolve().parents[1]) if java else None


def test_a_groovy_compiler_reads_the_jenkinsfile(tmp_path: Path) -> None:
    if not (shutil.which("groovy") and (java := find_java())):
        pytest.skip("groovy is not installed (Debian: apt-get install groovy)")
    (tmp_path / "parse.groovy").write_text("new GroovyShell().parse(new File(args[0]))\n")
    text = FORMS["jenkins"](NIGHT)
    for number, (body, fine) in enumerate([(text, True), (text.replace("stages {", "stages {{"), False)]):
        (tmp_path / f"Jenkinsfile{number}").write_text(body)
        command = ["groovy", str(tmp_path / "parse.groovy"), str(tmp_path / f"Jenkinsfile{number}")]
        done = subprocess.run(
            command, env={**os.environ, "JAVA_HOME": java}, capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) is fine, done.stderr


def test_the_jenkinsfile_has_the_sections_of_a_declarative_pipeline() -> None:
    text = FORMS["jenkins"](NIGHT)
    assert re.findall(r"^  (\w+)", text, re.MULTILINE) == [
        *("agent", "triggers", "options", "environment", "stages", "post"),
    ]
    assert text.count("{") == text.count("}") and "$POLICY" in text and '"""' not in text


def test_cron_reads_the_crontab(tmp_path: Path) -> None:
    lines = [line for line in FORMS["cron"](NIGHT).splitlines() if not line.startswith("#")]
    assert lines[0].startswith("MAILTO=") and len(lines) == 2
    assert re.match(r"17 22 \* \* \* cd /srv/glm-matrix && mkdir -p nights && ", lines[1]) and "%" not in lines[1]
    done = subprocess.run(["sh", "-n"], input=lines[1].split(" ", 5)[5], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    if shutil.which("crontab") is None:
        pytest.skip("cron is not installed (Debian: apt-get install cron)")
    for body, code in ((FORMS["cron"](NIGHT), 0), ("61 22 * * * true\n", 1)):
        (tmp_path / "crontab").write_text(body)
        read = subprocess.run(["crontab", "-n", tmp_path / "crontab"], capture_output=True, text=True, check=False)
        assert read.returncode == code, read.stderr


def put_tools(folder: Path, verdict: int, tests: int) -> None:
    """`make`, glm-matrix and python that write down how they were called."""
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / "bin").mkdir()
    note = f'#!/bin/sh\necho "$(basename "$0") $*" >> {folder}/did\n'
    bodies = {
        "bin/make": note,
        ".venv/bin/python": f"{note}mkdir -p reports/out/logs; exit {tests}\n",
        ".venv/bin/glm-matrix": note
        + f'case "$*" in *--words) echo "--cells a b --depth quick";; report*) exit {verdict};; esac\n',
    }
    for name, body in bodies.items():
        (folder / name).write_text(body)
        (folder / name).chmod(0o755)


@pytest.mark.parametrize("form", [f for f in FORMS if f != "cron"])
@pytest.mark.parametrize(("verdict", "tests"), [(0, 0), (1, 1)], ids=["green", "red"])
def test_every_form_runs_the_same_and_ends_as_the_gate(form: str, verdict: int, tests: int, tmp_path: Path) -> None:
    put_tools(tmp_path, verdict, tests)
    (tmp_path / "reports/out").mkdir(parents=True)
    (tmp_path / "reports/out/evidence.jsonl").write_text("of an older night")
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "POLICY": NIGHT.policy, "BUDGET": "8h"}
    codes = []
    for script in read_scripts(form):
        done = subprocess.run(
            ["sh", "-e"], input=script, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        codes.append(done.returncode)
    did = (tmp_path / "did").read_text()
    plan = f"glm-matrix plan --policy {NIGHT.policy} --budget 8h"
    asked = "python -m pytest --cells a b --depth quick --evidence reports/out/evidence.jsonl"
    report = f"glm-matrix report --policy {NIGHT.policy} --evidence reports/out/evidence.jsonl"
    order = [did.index(words) for words in ("make env\n", f"{plan}\n", f"{plan} --words\n", asked, report)]
    assert order == sorted(order) and did.index("redact reports/out/logs") > order[-1] - len(did)
    assert max(codes) == verdict
    assert not (tmp_path / "reports/out/evidence.jsonl").exists(), "an older night answered"
    if form == "script":
        assert len(list((tmp_path / "nights").iterdir())) == 1


def test_a_night_that_cannot_be_planned_runs_no_test(tmp_path: Path) -> None:
    put_tools(tmp_path, 0, 0)
    broken = (tmp_path / ".venv/bin/glm-matrix").read_text().replace('echo "--cells a b --depth quick"', "exit 2")
    (tmp_path / ".venv/bin/glm-matrix").write_text(broken)
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    text = FORMS["script"](NIGHT)
    done = subprocess.run(
        ["sh"], input=text, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "pytest" not in (tmp_path / "did").read_text()


def test_labels_come_from_the_runners_or_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    night = make_night(load_matrix(), "ci/gates/starter/sm121x1.yaml", budget_s=3600, at="0 1 * * 6")
    assert (night.labels, night.timeout_min, night.budget) == (("self-hosted", "sm121x1"), 180, "1h")
    words = ["gitlab", "--policy", NIGHT.policy, "--labels", "mine", "--at", "0 1 * * 6", "--budget", "6h"]
    assert main(words) == 0
    said = yaml.safe_load(capsys.readouterr().out)
    assert said["night"]["tags"] == ["mine"] and said["variables"]["BUDGET"] == "6h"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--policy", "ci/gates/sm120.yaml"], "for several: glm-matrix submit"),
        (["--policy", "ci/gates/none.yaml"], "none.yaml"),
        (["--policy", "a'b.yaml"], "expected a file below the checkout"),
        (["--policy", str(CHECKOUT / NIGHT.policy)], "expected a file below the checkout"),
        (["--policy", f"docs/../{NIGHT.policy}"], "expected a file below the checkout"),
        (["--policy", NIGHT.policy, "--at", "60 22 * * *"], "minute '60': expected 0 to 59"),
        (["--policy", NIGHT.policy, "--at", "17 24 * * *"], "hour '24': expected 0 to 23"),
        (["--policy", NIGHT.policy, "--at", "17 22 0 * *"], "day '0': expected 1 to 31"),
        (["--policy", NIGHT.policy, "--at", "17 22 * 13 *"], "month '13'"),
        (["--policy", NIGHT.policy, "--at", "17 22 * * 1,8"], "weekday '1,8'"),
        (["--policy", NIGHT.policy, "--at", "17 22 * * 5-1"], "the smaller first"),
        (["--policy", NIGHT.policy, "--at", "*/0 22 * * *"], "minute '*/0'"),
        (["--policy", NIGHT.policy, "--at", "17 -1 * * *"], "hour '-1'"),
        (["--policy", NIGHT.policy, "--at", "17 22 *  *"], "month '': expected *, numbers"),
        (["--policy", NIGHT.policy, "--at", "at night"], "five fields of cron"),
        (["--policy", NIGHT.policy, "--labels", "a;b"], "--labels"),
    ],
)
def test_what_no_night_can_be_is_one_error(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["github", *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("at", ["*/5 * * * *", "0,30 0-6/2 1-31 12 0,7", "5 4 * * 1-5"])
def test_what_cron_reads_is_taken(at: str) -> None:
    assert not find_cron_fault(at)


@pytest.mark.parametrize("hours", [0.001, 0.25, 1.5, 8, 1_000_000])
def test_the_budget_is_read_back_by_the_command_that_gets_it(hours: float) -> None:
    told = replace(NIGHT, budget_h=hours).budget
    assert parse_duration(told) == pytest.approx(max(hours * 3600, 60), rel=0.05)


@pytest.mark.parametrize("form", ["buildkite", "cron", "script"])
def test_labels_that_a_form_would_not_show_are_refused(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([form, "--policy", NIGHT.policy, "--labels", "mine"]) == 2
    assert "without labels" in capsys.readouterr().err


def test_a_word_that_a_file_could_not_hold_is_refused() -> None:
    with pytest.raises(ConfigError, match="five fields"):
        make_night(load_matrix(), NIGHT.policy, budget_s=3600, at="17 22 * * * ' }")
