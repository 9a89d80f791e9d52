"""The release's own environment: the few light packages that its parsers import, at its own pins. No torch, no GPU."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matrix.checkout import CHECKOUT
from matrix.errors import HostError
from matrix.output.places import locate_cache

WORKER: Final = "lab.parsers.worker"  # imports the standard library, its neighbours and the release
UV: Final = CHECKOUT / ".venv" / "bin" / "uv"
# What the parsers really use.
LIGHT: Final = (
    "pydantic",
    "openai",
    "regex",
    "partial-json-parser",
    "orjson",
    "msgspec",
    "fastapi",
    "cachetools",
    "packaging",
)
INSTALL_TIMEOUT_S: Final = 300
RUN_TIMEOUT_S: Final = 1800


def make_environment(requirements: Sequence[str], folder: Path | None = None) -> Path:
    """Return the Python of an environment with these requirements; equal ones share it."""
    # with the Python: after an upgrade an environment of the old one would still be found
    name = hashlib.sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()[:12]
    folder = folder or locate_cache() / "parsers"
    python = folder / name / "bin" / "python"
    # written last: an installation that was cut short is made again
    if not (folder / name / "made").exists():
        _run_command(
            [str(UV), "venv", "-q", "--clear", "--python", sys.executable, str(folder / name)], INSTALL_TIMEOUT_S
        )
        _run_command([str(UV), "pip", "install", "-q", "--python", str(python), *requirements], INSTALL_TIMEOUT_S)
        (folder / name / "made").touch()
    return python


def versions_in(python: Path) -> dict[str, str]:
    """Return the versions that are installed, of the packages that the parsers use."""
    program = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    found: dict[str, str] = json.loads(_run_command([str(python), "-c", program, *LIGHT], INSTALL_TIMEOUT_S))
    return found


def run_worker(python: Path, job: Mapping[str, Any]) -> dict[str, Any]:
    """Run one job in the environment and return its answer."""
    answer: dict[str, Any] = json.loads(_run_command([str(python), "-m", WORKER], RUN_TIMEOUT_S, json.dumps(job)))
    return answer


def _run_command(command: Sequence[str], timeout_s: int, text: str | None = None) -> str:
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=CHECKOUT
        )
    except subprocess.TimeoutExpired as error:
        raise HostError(f"{command[0]} did not end within {timeout_s} s") from error
    if done.returncode:
        raise HostError(f"{' '.join(command[:4])} failed:\n{done.stderr.strip()[-1500:]}")
    return done.stdout
