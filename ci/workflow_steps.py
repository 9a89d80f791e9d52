"""Makes the steps that both workflows share, and lists the actions that these steps use.

Actions are pinned by commit: a tag can be moved, a commit cannot. The tag of each pin stands beside it. The commits
were taken from pins with the same tag comment in several unrelated public repositories (Nov 2026), not resolved from
the action's own repository: resolve them once (`git ls-remote https://github.com/<action> <tag>`) before trusting a
runner with secrets. All four run on node24, since node20 has left the runners.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Step = dict[str, Any]
Workflow = dict[str, Any]
LOGS = "reports/out/logs"
HOSTED = "ubuntu-24.04"
PYTHON = "3.11"  # as requirements/*.lock
PUBLISH = 'cat reports/out/table.md >> "$GITHUB_STEP_SUMMARY"'


@dataclass(frozen=True, slots=True)
class Action:
    """One pinned action; `tag` is for people."""

    name: str
    commit: str
    tag: str

    @property
    def uses(self) -> str:
        return f"{self.name}@{self.commit}"


CHECKOUT = Action("actions/checkout", "3d3c42e5aac5ba805825da76410c181273ba90b1", "v7.0.1")
SETUP_PYTHON = Action("actions/setup-python", "ece7cb06caefa5fff74198d8649806c4678c61a1", "v6.3.0")
UPLOAD = Action("actions/upload-artifact", "043fb46d1a93c77aae656e7c1c64a875d1fc6a0a", "v7.0.1")
DOWNLOAD = Action("actions/download-artifact", "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c", "v8.0.1")
ACTIONS = (CHECKOUT, SETUP_PYTHON, UPLOAD, DOWNLOAD)


def checkout_step() -> Step:
    """Make the checkout step. The job's token is kept out of .git/config, where an engine's code could read it."""
    return {"uses": CHECKOUT.uses, "with": {"persist-credentials": False}}


def setup_python_step() -> Step:
    return {"uses": SETUP_PYTHON.uses, "with": {"python-version": PYTHON}}


def redact_step() -> Step:
    """Make the step that hides secrets in logs. It runs after a SIGKILL too, which leaves logs unredacted, and
    before every upload."""
    command = f"[ ! -d {LOGS} ] || .venv/bin/python -m reports redact {LOGS}"
    return {"name": "hide secrets in logs", "id": "redact", "if": "always()", "run": command}


def upload_step(name: str, path: str, *, redacted: bool = False) -> Step:
    """Make an upload step that also runs after a failure, because the files of a red job explain it. The gate judges a
    job that left no files.

    `redacted`: upload only after a `redact_step()` that succeeded.
    """
    return {
        "if": "always() && steps.redact.outcome == 'success'" if redacted else "always()",
        "uses": UPLOAD.uses,
        "with": {"name": name, "path": path, "if-no-files-found": "warn", "retention-days": 30},
    }


def download_step(pattern: str, path: str) -> Step:
    return {"uses": DOWNLOAD.uses, "with": {"pattern": pattern, "path": path}}


def run_step(name: str, script: str, *, always: bool = False, env: dict[str, str] | None = None, **more: str) -> Step:
    """Make a shell step. Expressions reach the script through `env` only, so that no cell or input can become code."""
    return {
        "name": name,
        **({"if": "always()"} if always else {}),
        **more,
        **({"env": env} if env else {}),
        "run": script,
    }
