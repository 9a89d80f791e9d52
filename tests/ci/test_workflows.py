from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from ci import plan, runners, workflows
from ci.gpu_workflow import DEPTHS as DEPTHS_OFFERED
from ci.gpu_workflow import make_gpu_workflow
from ci.workflow_steps import HOSTED
from ci.workflow_yaml import dump_workflow
from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError
from matrix.planning.expand import expand_matrix
from matrix.planning.owed import FIRST
from matrix.yaml.load import load_matrix
from reports.evidence.source_state import read_source_state
from reports.gate import policy
from reports.planning.selection import read_depth
from suites.asking.depth import DEPTHS
from tests.reports import origin
from tests.reports.world import seal
from tests.reports.world import write as evidence_bytes

GPU = CHECKOUT / workflows.FOLDER / "gpu-matrix.yml"
CPU = CHECKOUT / workflows.FOLDER / "cpu.yml"


def parsed(path: Path) -> dict[str, Any]:
    """As GitHub reads it: `on` is a word there, PyYAML's YAML 1.1 makes it True."""
    doc: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    return {str(k) if k is not True else "on": v for k, v in doc.items()}


def steps(path: Path) -> Iterator[dict[str, Any]]:
    yield from (s for job in parsed(path)["jobs"].values() for s in job["steps"])


def step(name: str, job: str) -> dict[str, Any]:
    found = [s for s in parsed(GPU)["jobs"][job]["steps"] if s.get("name") == name]
    assert len(found) == 1
    return dict(found[0])


def test_the_committed_files_are_what_the_axes_generate() -> None:
    assert workflows.main(["--check"]) == 0, "run: python -m ci.workflows"


@pytest.mark.parametrize("name", ["x' || github.token || '", "${{ x }}", "a b", "-x", "x\ny"])
def test_a_gate_whose_name_would_be_an_expression_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="becomes part of an expression"):
        make_gpu_workflow(runners.load_runners(load_matrix().rigs), ["release", name])


def test_a_new_gate_is_offered_and_one_without_gpu_cells_is_not(tmp_path: Path) -> None:
    matrix = load_matrix()
    for name, marks in (("night", "sm90x1"), ("desk", "cpu")):
        text = f"title: x\nrequire:\n  - marks: {marks}\nmax_age_h: 1\n"
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    assert workflows.gates_on_runners(matrix, runners.load_runners(matrix.rigs), tmp_path) == ["night"]


def test_github_accepts_the_files() -> None:
    schema = [str(Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*schema, str(GPU), str(CPU)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", [GPU, CPU], ids=["gpu", "cpu"])
def test_nothing_from_outside_can_become_shell_code(path: Path) -> None:
    for one in steps(path):
        assert "${{" not in one.get("run", ""), one


@pytest.mark.parametrize("path", [GPU, CPU], ids=["gpu", "cpu"])
def test_actions_are_pinned_by_commit_with_their_tag_beside(path: Path) -> None:
    uses = re.findall(r"uses: (.*)", path.read_text("utf-8"))
    assert uses
    for one in uses:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one), one


@pytest.mark.parametrize("path", [GPU, CPU], ids=["gpu", "cpu"])
def test_a_job_may_read_the_code_and_nothing_else(path: Path) -> None:
    doc = parsed(path)
    assert doc["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in doc["jobs"].values())
    assert all(s["with"]["persist-credentials"] is False for s in steps(path) if "checkout" in s.get("uses", ""))


def test_no_pull_request_runs_code_on_a_gpu_machine() -> None:
    assert set(parsed(GPU)["on"]) == {"workflow_dispatch", "schedule"}
    for job in parsed(CPU)["jobs"].values():
        assert job["runs-on"] == HOSTED


def test_one_rig_does_not_stop_another_and_machines_queue() -> None:
    job = parsed(GPU)["jobs"]["run"]
    assert job["strategy"]["fail-fast"] is False
    assert job["concurrency"] == {
        "group": "gpu-${{ matrix.group.host }}",
        "cancel-in-progress": False,
        "queue": "max",
    }
    assert job["if"] == "needs.plan.outputs.empty == 'false'"


def test_the_gate_runs_whatever_happened_before() -> None:
    gate = parsed(GPU)["jobs"]["gate"]
    assert gate["if"] == "always()" and set(gate["needs"]) == {"plan", "run"}
    assert gate["steps"][-1]["name"] == "gate"
    assert all(step(name, "gate")["if"] == "always()" for name in ("merge", "report", "gate"))
    assert "--selected-only" not in GPU.read_text("utf-8")  # a rig that never began must still be missed


def test_the_offered_depths_are_those_of_the_suites_and_the_gate_s_own_is_the_default() -> None:
    assert tuple(d for d in DEPTHS if d != FIRST) == DEPTHS_OFFERED  # `first` is for cells beside their base, on a CPU
    asked = parsed(GPU)["on"]["workflow_dispatch"]["inputs"]["depth"]
    assert asked["options"] == [asked["default"], *DEPTHS_OFFERED] and asked["default"] not in DEPTHS
    assert "needs.plan.outputs.depth" in step("cells", "run")["env"]["DEPTH"]
    assert "DEPTH" not in parsed(GPU)["env"]


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_plan_says_the_depth_that_its_gate_wants(depth: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate.yaml"
    gate.write_text(f"title: x\nrequire:\n  - marks: cpu\nmax_age_h: 1\ndepth: {depth}\n")
    assert plan.format_for_github((), read_depth(gate)).endswith(f"depth={depth}")


def shell(script: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a step's script as a runner starts it: bash -e, with the checkout's environment."""
    if not (cwd / ".venv").exists():
        (cwd / ".venv").symlink_to(Path(sys.executable).parent.parent)
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_plan_step_writes_what_the_run_job_reads(tmp_path: Path) -> None:
    output = tmp_path / "output"
    done = shell(
        step("plan", "plan")["run"],
        tmp_path,
        POLICY=str(CHECKOUT / "ci/gates/sm120.yaml"),
        MARKS="sm120x4 and sglang",
        GITHUB_OUTPUT=str(output),
    )
    assert done.returncode == 0, done.stderr
    values = dict(line.split("=", 1) for line in output.read_text().splitlines())
    assert values["empty"] == "false"
    assert values["depth"] == policy.load_policy(CHECKOUT / "ci/gates/sm120.yaml")[0].depth
    text = GPU.read_text("utf-8")
    for job in json.loads(values["groups"]):
        assert set(re.findall(r"matrix\.group\.(\w+)", text)) <= set(job)


def test_the_cells_step_gives_pytest_one_word_per_cell(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / ".venv").symlink_to(tmp_path)
    python = tmp_path / "bin/python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    done = shell(step("cells", "run")["run"], tmp_path, MARK="sm120", CELLS="a.b c.d", DEPTH="quick")
    assert done.stdout.splitlines() == [
        "-m",
        "pytest",
        "-m",
        "sm120",
        "--cells",
        "a.b",
        "c.d",
        "--depth",
        "quick",
        "--baseline",
        "ci/baselines",
        "--junitxml",
        "reports/out/junit.xml",
        "--evidence",
        "reports/out/evidence.jsonl",
    ]


def test_what_pytest_is_held_against_in_ci_is_there_and_is_what_the_gates_name() -> None:
    folder = CHECKOUT / "ci/baselines"
    assert folder.is_dir()
    for path in (CHECKOUT / "ci/gates").glob("sm*.yaml"):
        found, _ = policy.load_policy(path)
        if found.speed_unasked:  # there is none to hold against anything
            continue
        assert found.throughput and (path.parent / found.throughput.baseline).resolve() == folder.resolve()


POLICY_TEXT = """
title: One canary cell
require:
  - when: {rig: cpu, engine: llamacpp, checkpoint: canary_bf16}
    glob: "*.baseline"
max_age_h: 1
not_replayed:
  - {cells: "*", owner: tests, why: "nothing was asked", until: SOON}
accepted:  # of a copy without git
  - {what: unknown_commit, of: "*", owner: tests, why: "a copy without git", until: SOON}
"""
JUNIT = '<testsuites><testsuite name="pytest" tests="1"><testcase classname="a" name="b"/></testsuite></testsuites>'


@pytest.fixture
def gate_policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    soon = datetime.now(UTC).date() + timedelta(days=365)  # an allowance lasts two years at most
    path.write_text(POLICY_TEXT.replace("SOON", soon.isoformat()), encoding="utf-8")
    return path


def gate_job(cwd: Path, gate_policy: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    env = {"POLICY": str(gate_policy), "GITHUB_STEP_SUMMARY": str(cwd / "summary.md")}
    return {name: shell(step(name, "gate")["run"], cwd, **env) for name in ("merge", "report", "gate")}


def green_evidence(gate_policy: Path) -> bytes:
    matrix = load_matrix()
    wanted = {c.id for c in policy.expect_cells(*policy.load_policy(gate_policy), matrix)}
    cells = [c for c in expand_matrix(matrix).runnable if c.id in wanted]
    fields = origin.green(matrix, cells, read_source_state(CHECKOUT).commit, whole=True)
    return evidence_bytes(seal(fields, begun=datetime.now(UTC) - timedelta(minutes=1)))


def test_the_gate_is_red_and_says_why_when_no_job_left_anything(tmp_path: Path, gate_policy: Path) -> None:
    done = gate_job(tmp_path, gate_policy)
    assert done["merge"].returncode == 0 and "no job left a JUnit file" in done["merge"].stdout
    assert done["gate"].returncode != 0
    assert "Did anything run?" in done["gate"].stderr
    assert gate_junit(tmp_path).get("errors") == "1"


def gate_junit(cwd: Path) -> ElementTree.Element:
    """Return the suite that CI reads, where it is uploaded."""
    assert any(s.get("with", {}).get("path") == "reports/out/" for s in parsed(GPU)["jobs"]["gate"]["steps"])
    return ElementTree.parse(cwd / "reports/out/gate.junit.xml").getroot()[0]


def test_the_gate_is_green_on_green_evidence_and_red_without_one_jobs_part(tmp_path: Path, gate_policy: Path) -> None:
    job = tmp_path / "in/evidence-cpu-1"
    job.mkdir(parents=True)
    (job / "junit.xml").write_text(JUNIT, encoding="utf-8")
    (job / "evidence.jsonl").write_bytes(green_evidence(gate_policy))
    done = gate_job(tmp_path, gate_policy)
    assert done["merge"].returncode == 0, done["merge"].stderr
    assert done["gate"].returncode == 0, done["gate"].stdout + done["gate"].stderr
    assert (tmp_path / "reports/out/junit.xml").is_file()
    assert (gate_junit(tmp_path).get("tests"), gate_junit(tmp_path).get("failures")) == ("2", "0")
    assert (tmp_path / "summary.md").read_text("utf-8").startswith("# GREEN: One canary cell")
    wider = gate_policy.read_text("utf-8").replace('    glob: "*.baseline"\n', "")
    gate_policy.write_text(wider, encoding="utf-8")
    red = gate_job(tmp_path, gate_policy)["gate"]
    assert red.returncode == 1 and "no evidence; it was expected to run" in red.stdout
    assert gate_junit(tmp_path).get("failures") != "0"


def test_a_file_keeps_on_as_a_word_and_scripts_as_blocks() -> None:
    text = dump_workflow({"on": {"push": {}}, "run": "a\nb\n", "yes": "on"})
    assert text == "on:\n  push: {}\nrun: |\n  a\n  b\n'yes': on\n"
