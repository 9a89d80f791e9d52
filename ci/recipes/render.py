"""The same night in five forms. Pure: a night in, the text of a file out."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from typing import Any, Final

from ci.recipes.steps import OUT, REDACT, STEPS, Night
from ci.workflow_steps import ACTIONS, checkout_step, redact_step, run_step, setup_python_step, upload_step
from ci.workflow_yaml import dump_workflow

KEEP_DAYS: Final = 30
Json = dict[str, Any]


def render_github(night: Night) -> str:
    """Render a workflow; its job runs on a self-hosted runner with the machine's labels."""
    workflow: Json = {
        "name": "night",
        "on": {"schedule": [{"cron": night.at}], "workflow_dispatch": {}},
        "permissions": {"contents": "read"},
        "concurrency": {"group": f"night-{night.rig}", "cancel-in-progress": False},
        "env": _variables(night),
        "jobs": {
            "night": {
                "runs-on": list(night.labels),
                "timeout-minutes": night.timeout_min,
                "steps": [
                    checkout_step(),
                    setup_python_step(),
                    *(run_step(step.name, step.script) for step in STEPS),
                    redact_step(),
                    upload_step("night", f"{OUT}/", redacted=True),
                ],
            }
        },
    }
    text = dump_workflow(workflow)
    for action in ACTIONS:
        text = text.replace(action.uses, f"{action.uses} # {action.tag}")
    return f"{_head('github', night, '.github/workflows/night.yml')}{text}"


def render_gitlab(night: Night) -> str:
    """Render `.gitlab-ci.yml`. A pipeline schedule of the project starts it, at the time that the head names."""
    job: Json = {
        "tags": list(night.labels),
        "rules": [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}, {"if": '$CI_PIPELINE_SOURCE == "web"'}],
        "timeout": f"{night.timeout_min} minutes",
        "resource_group": f"night-{night.rig}",
        "interruptible": False,
        "script": [step.script for step in STEPS],
        "after_script": [REDACT],
        "artifacts": {
            "when": "always",
            "expire_in": f"{KEEP_DAYS} days",
            "paths": [f"{OUT}/"],
            "reports": {"junit": f"{OUT}/junit.xml"},
        },
    }
    whole = {"variables": _variables(night), "night": job}
    schedule = f"# A schedule starts it: Build > Pipeline schedules, {night.at}\n"
    return f"{_head('gitlab', night, '.gitlab-ci.yml')}{schedule}{dump_workflow(whole)}"


def render_buildkite(night: Night) -> str:
    """Render a pipeline of one step. `$$` is a dollar sign that `pipeline upload` leaves to the shell."""
    step: Json = {
        "label": f"night of {night.rig}",
        "key": "night",
        "agents": {"queue": "gpu", "rig": night.rig},
        "timeout_in_minutes": night.timeout_min,
        "concurrency": 1,
        "concurrency_group": f"night-{night.rig}",
        "env": _variables(night),
        "command": _join_steps().replace("$", "$$"),
        "artifact_paths": [f"{OUT}/**/*"],
    }
    schedule = f"# A schedule starts it: Pipeline settings > Schedules, {night.at}\n"
    return f"{_head('buildkite', night, '.buildkite/pipeline.yml')}{schedule}{dump_workflow({'steps': [step]})}"


def render_jenkins(night: Night) -> str:
    """Render a declarative Jenkinsfile; an agent that has every label runs it."""
    stages = "\n".join(
        f"    stage('{step.name}') {{\n      steps {{\n{_groovy(step.script, 8)}\n      }}\n    }}" for step in STEPS
    )
    variables = "\n".join(f"    {name} = '{value}'" for name, value in _variables(night).items())
    return f"""{_head("jenkins", night, "Jenkinsfile", "//")}pipeline {{
  agent {{ label '{" && ".join(night.labels)}' }}
  triggers {{ cron('{night.at}') }}
  options {{
    timeout(time: {night.timeout_min}, unit: 'MINUTES')
    disableConcurrentBuilds()
    buildDiscarder(logRotator(daysToKeepStr: '{KEEP_DAYS}'))
  }}
  environment {{
{variables}
  }}
  stages {{
{stages}
  }}
  post {{
    always {{
{_groovy(REDACT, 6)}
      junit allowEmptyResults: true, testResults: '{OUT}/junit.xml'
      archiveArtifacts allowEmptyArchive: true, artifacts: '{OUT}/**'
    }}
  }}
}}
"""


def render_script(night: Night) -> str:
    """Render the shell script that cron starts; it works by hand, too."""
    defaults = "\n".join(f'export {name}="${{{name}:-{value}}}"' for name, value in _variables(night).items())
    keep = f'mkdir -p nights\ncp -R {OUT} "nights/$(date -u +%Y%m%dT%H%M%SZ)"'
    return f"""#!/bin/sh
{_head("script", night, "ci/nightly/night.sh")}{defaults}
keep() {{
  code=$?
  {REDACT}
  {textwrap.indent(keep, "  ").strip()}
  exit "$code"
}}
trap keep EXIT
{_join_steps(redact=False)}"""


def render_cron(night: Night) -> str:
    """Render a crontab. A night that still runs is not started again, and only a red one sends a mail.

    What it writes is in `nights`, which git ignores: a file that git does not know would make the tree dirty.
    """
    run = "flock -n nights/lock sh ci/nightly/night.sh >nights/log 2>&1"
    lines = [
        _head("cron", night, "crontab -e").rstrip(),
        f"# /srv/glm-matrix is the checkout. Its script: glm-matrix recipe script --policy {night.policy}",
        "MAILTO=you@example.org",
        f"{night.at} cd /srv/glm-matrix && mkdir -p nights && {{ {run} || tail -n 60 nights/log; }}",
    ]
    return "\n".join(lines) + "\n"


FORMS: Final[Mapping[str, Callable[[Night], str]]] = {
    "github": render_github,
    "gitlab": render_gitlab,
    "jenkins": render_jenkins,
    "buildkite": render_buildkite,
    "cron": render_cron,
    "script": render_script,
}


def _variables(night: Night) -> dict[str, str]:
    return {"POLICY": night.policy, "BUDGET": night.budget}


def _head(form: str, night: Night, place: str, mark: str = "#") -> str:
    made = f"glm-matrix recipe {form} --policy {night.policy}"
    return f"{mark} A night of {night.rig}, from `{made}`. Its place: {place}\n"


def _join_steps(*, redact: bool = True) -> str:
    """Return all steps as one script that ends at the first that fails."""
    first = ["set -eu", *([f"trap '{REDACT}' EXIT"] if redact else [])]
    return "\n".join([*first, *(step.script.rstrip() for step in STEPS)]) + "\n"


def _groovy(script: str, indent: int) -> str:
    """Return an `sh` step. In three single quotes Groovy expands nothing, and the steps hold no backslash."""
    return textwrap.indent(f"sh '''{script.rstrip()}'''", " " * indent)
