"""Generates gpu-matrix.yml: plan (hosted) -> one job per launch group on the rig's runner -> merge and gate (hosted,
always)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ci.runners import Runner
from ci.workflow_steps import (
    HOSTED,
    PUBLISH,
    Workflow,
    checkout_step,
    download_step,
    redact_step,
    run_step,
    setup_python_step,
    upload_step,
)
from matrix.errors import ConfigError, Problem

GATE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
DEPTHS = ("quick", "full", "release")  # pytest --depth, suites/asking/depth.py
OF_THE_GATE = "gate"
PLAN = '.venv/bin/python -m ci.plan --format github --policy "$POLICY" -m "$MARKS" >> "$GITHUB_OUTPUT"'
# CELLS is split into words on purpose: one per cell.
CELLS = """\
mkdir -p reports/out
.venv/bin/python -m pytest -m "$MARK" --cells $CELLS --depth "$DEPTH" --baseline ci/baselines \\
  --junitxml reports/out/junit.xml --evidence reports/out/evidence.jsonl
"""
# Without any file the gate is asked about one that does not exist, and says so in red.
FILES = """\
shopt -s nullglob
mkdir -p reports/out
junit=(in/*/junit.xml)
evidence=(in/*/evidence.jsonl)
[ ${#evidence[@]} -gt 0 ] || evidence=(reports/out/evidence.jsonl)
"""
MERGE = f"""\
{FILES}[ ${{#junit[@]}} -gt 0 ] || {{ echo "no job left a JUnit file"; exit 0; }}
.venv/bin/python -m reports junit merge reports/out/junit.xml "${{junit[@]}}" --evidence "${{evidence[@]}}"
"""
REPORT = f"""\
{FILES}.venv/bin/python -m reports report --policy "$POLICY" --evidence "${{evidence[@]}}" --out reports/out || true
[ ! -f reports/out/table.md ] || {PUBLISH}
"""
GATE = f"""\
{FILES}.venv/bin/python -m reports gate --policy "$POLICY" --evidence "${{evidence[@]}}"
"""


def make_gpu_workflow(served: Mapping[str, Runner], gates: Sequence[str]) -> Workflow:
    """Make the GPU workflow. Only people with write access and the clock start it: no pull request runs code on a
    GPU machine."""
    if wrong := [name for name in gates if not GATE_NAME.fullmatch(name)]:
        message = (
            f"the name of a gate becomes part of an expression: expected letters, digits, _, . and -, got {wrong[0]!r}"
        )
        raise ConfigError([Problem(f"ci/gates/{wrong[0]}.yaml", 0, "", message)])
    rigs = ", ".join(rig for rig, r in served.items() if r.serves)
    first = "release" if "release" in gates else gates[0]
    return {
        "name": "gpu matrix",
        "on": {
            "workflow_dispatch": {
                "inputs": {
                    "policy": {
                        "description": "The gate; the cells that it requires are run",
                        "type": "choice",
                        "options": list(gates),
                        "default": first,
                    },
                    "marks": {
                        "description": "Run only these of them, e.g. `sm120 and mtp`. The gate still misses the others."
                        f" Rigs with a runner: {rigs}",
                        "type": "string",
                        "default": "",
                    },
                    "depth": {
                        "description": "How much each suite asks. The gate is red below its own depth",
                        "type": "choice",
                        "options": [OF_THE_GATE, *DEPTHS],
                        "default": OF_THE_GATE,
                    },
                }
            },
            "schedule": [{"cron": "0 1 * * 6"}],  # Saturdays: the rigs are busy with people on other days
        },
        "permissions": {"contents": "read"},
        "env": {
            "POLICY": f"ci/gates/${{{{ inputs.policy || '{first}' }}}}.yaml",
            "MARKS": "${{ inputs.marks }}",
        },
        "jobs": {"plan": _plan_job(), "run": _run_job(), "gate": _gate_job()},
    }


def _plan_job() -> Workflow:
    return {
        "runs-on": HOSTED,
        "timeout-minutes": 10,
        "outputs": {name: f"${{{{ steps.plan.outputs.{name} }}}}" for name in ("groups", "empty", "depth")},
        "steps": [
            checkout_step(),
            setup_python_step(),
            run_step("environment", "make env"),
            run_step("plan", PLAN, id="plan"),
        ],
    }


def _run_job() -> Workflow:
    """Make the job that runs one launch group. Without `queue: max`, a third waiting job of the same machine would
    cancel the second."""
    env = {
        # A run by the clock has no inputs, so its depth is the gate's as well.
        "DEPTH": f"${{{{ inputs.depth != '{OF_THE_GATE}' && inputs.depth || needs.plan.outputs.depth }}}}",
        "MARK": "${{ matrix.group.mark }}",
        "CELLS": "${{ matrix.group.cells }}",
        "GLM_MATRIX_MODELS": "${{ matrix.group.models }}",
    }
    return {
        "needs": "plan",
        "if": "needs.plan.outputs.empty == 'false'",
        "strategy": {"fail-fast": False, "matrix": {"group": "${{ fromJSON(needs.plan.outputs.groups) }}"}},
        "name": "${{ matrix.group.id }}",
        "runs-on": "${{ matrix.group.runs_on }}",
        "timeout-minutes": "${{ matrix.group.timeout_min }}",
        "concurrency": {"group": "gpu-${{ matrix.group.host }}", "cancel-in-progress": False, "queue": "max"},
        "steps": [
            checkout_step(),
            run_step("environment", "make env"),
            run_step("cells", CELLS, env=env),
            redact_step(),
            upload_step("evidence-${{ matrix.group.id }}", "reports/out/", redacted=True),
        ],
    }


def _gate_job() -> Workflow:
    return {
        "needs": ["plan", "run"],
        "if": "always()",  # a plan or a rig that failed is a verdict, not a reason to have none
        "runs-on": HOSTED,
        "timeout-minutes": 20,
        "steps": [
            checkout_step(),
            setup_python_step(),
            run_step("environment", "make env"),
            download_step("evidence-*", "in"),
            run_step("merge", MERGE, always=True),
            run_step("report", REPORT, always=True),
            upload_step("verdict", "reports/out/"),
            run_step("gate", GATE, always=True),
        ],
    }
