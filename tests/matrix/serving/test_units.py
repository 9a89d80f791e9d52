"""A unit of each kind is one that systemd reads, and its ExecStart, quoted as systemd reads it, starts the server."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from matrix.planning.expand import expand_matrix, find_cell
from matrix.planning.plan import Plan, make_plan
from matrix.serving.places import ServingPlaces
from matrix.serving.systemd import render_unit
from matrix.yaml.load import load_matrix
from tests.matrix.output.test_script import awkward_plan
from tests.matrix.serving.test_script import STUB, free_port, put

MATRIX = load_matrix()
CELLS = {c.id: c for c in expand_matrix(MATRIX).runnable}
SEED = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline"
DRAFT = "sm90x8.vllm_0_33_0.glm52_fp8.dspark"
KINDS = (
    SEED,
    "sm120x4.vllm_0_33_0.glm51_478b_nvfp4.mtp",
    "sm120x4.trtllm_1_3_0rc26.glm51_478b_nvfp4.baseline",
    DRAFT,
)
WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
READY_S = 30


@dataclass(frozen=True)
class Unit:
    """What systemd makes of a unit (systemd.exec(5), systemd.service(5)): quotes, escapes, specifiers, variables."""

    argv: list[str]
    environment: dict[str, str]


def unquote(line: str) -> list[str]:
    words = []
    for found in WORD.finditer(line):
        text = found[2] if found[1] is None else found[1]
        text = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), text)
        words.append(text.replace("%%", "%"))
    return words


def read_unit(text: str) -> Unit:
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    pairs = [u for line in lines if line.startswith("Environment=") for u in unquote(line.partition("=")[2])]
    environment = dict(pair.split("=", 1) for pair in pairs)
    command = next(line.partition("=")[2] for line in lines if line.startswith("ExecStart="))
    known = lambda m: "$" if m[0] == "$$" else environment[m[1]]  # noqa: E731
    return Unit([re.sub(r"\$\$|\$\{(\w+)\}", known, word) for word in unquote(command)], environment)


def unit_of(plan: Plan, venv: Path) -> str:
    recorded = {plan.cell.release.image or "": "sha256:" + "a" * 64}
    local = {"environments": {plan.cell.release.id: str(venv)}}
    return render_unit(plan, ServingPlaces(local=local, read_images=lambda: recorded))


@pytest.mark.parametrize("name", KINDS, ids=lambda c: ".".join(c.split(".")[1::2]))
def test_systemd_reads_it(name: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian: apt-get install systemd)")
    for program in ("python", "vllm"):
        put(tmp_path / "venv/bin" / program, "#!/bin/sh\n")
    cell = CELLS.get(name) or find_cell(MATRIX, name)
    assert cell is not None
    text = unit_of(make_plan(MATRIX, cell), tmp_path / "venv")
    text = text.replace("/usr/bin/docker", "/bin/true")  # it asks whether the program is there
    for number, (body, fine) in enumerate([(text, True), (text.replace("Restart=", "Restrat="), False)]):
        (tmp_path / f"glm{number}.service").write_text(body)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(tmp_path / f"glm{number}.service")],
            env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
            capture_output=True,
            text=True,
            check=False,
        )
        own = [line for line in done.stderr.splitlines() if "glm" in line]
        assert (done.returncode == 0 and not own) is fine, done.stderr


def test_awkward_words_reach_the_program_unchanged(tmp_path: Path) -> None:
    toy = "import json,os,sys;print(json.dumps([sys.argv[1:], os.environ['TEXT']]))"
    put(tmp_path / "venv/bin/toy", f"#!{sys.executable}\n{toy}\n")
    made = awkward_plan(tmp_path)
    unit = read_unit(unit_of(made, tmp_path / "venv"))
    done = subprocess.run(unit.argv, env=unit.environment, capture_output=True, text=True, check=True)
    argv, value = json.loads(done.stdout)
    port = str(made.cell.engine.default_port)
    assert argv == made.argv(model=unit.environment["MODEL"], host="127.0.0.1", port=port)[1:]
    assert value == "two words; $(no)"


def test_its_command_serves_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    put(tmp_path / "venv/bin/python", STUB)
    plan = make_plan(MATRIX, CELLS[SEED])
    unit, port = read_unit(unit_of(plan, tmp_path / "venv")), free_port()
    argv = [str(port) if word == str(plan.cell.engine.default_port) else word for word in unit.argv]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(argv, env={"PATH": os.environ["PATH"], **unit.environment}, stdout=log, stderr=log)
    try:
        end = time.monotonic() + READY_S
        while server.poll() is None and time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"http://127.0.0.1:{port}{plan.cell.engine.health_path}", timeout=10)
        assert answer.status_code == 200, (tmp_path / "log").read_text()
    finally:
        server.terminate()
        server.wait(timeout=10)
