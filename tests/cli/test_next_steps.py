"""Every next step that a command prints is one that exists: its verb and options parse, and no line end breaks it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from cli.programs import load_doctor, load_recommend
from cli.tree import verb_parser
from cli.verbs import VERBS
from fixtures.launch.venv.build import LOCKS, find_python
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import make_plan
from matrix.serving.container import render_compose
from matrix.serving.places import ServingPlaces
from matrix.serving.script import render_serving_script
from matrix.serving.systemd import render_unit
from matrix.yaml.load import load_matrix

ASKED = [
    *(["--rig", rig] for rig in ("sm120x4", "sm90x1", "gfx950x8", "sm121x2")),
    *(["--gpus", gpus] for gpus in ("3x B200", "2x RTX 4090")),
]
COMMAND = re.compile(r"(?<![/\w-])glm-matrix(?![/\w-])(?: (?P<words>[^\n`>;]+))?")  # not a part of a path
OPTIONS = {"--endpoint", "--cells"}
SHOWN = (
    "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline",
    "sm120x4.trtllm_1_3_0rc26.glm51_478b_nvfp4.baseline",
    "cpu.llamacpp_2026_10_11549.canary_bf16.baseline",
)


def find_commands(text: str) -> Iterator[list[str]]:
    """Yield the words after each `glm-matrix`; a sentence may go on after a full stop or a bracket."""
    for found in COMMAND.finditer(text):
        words = re.split(r"[)\]]|\. |, | prints | gives | shows | there | -- |&& ", found["words"] or "")[0]
        yield shlex.split(words.strip().removesuffix(".").removesuffix(":"))


def parse(words: list[str]) -> None:
    assert words and words[0] in VERBS, f"no verb: glm-matrix {' '.join(words)}"
    verb_parser(VERBS[words[0]]).parse_args(words[1:])


def check(text: str, *, least: int) -> None:
    commands = list(find_commands(text))
    assert len(commands) >= least, text
    for words in commands:
        try:
            # `check ... -- COMMAND` is cut at its `--` like any sentence that goes on.
            parse([*words, "--", "command"] if words[:1] == ["check"] else words)
        except SystemExit:
            pytest.fail(f"does not parse: glm-matrix {shlex.join(words)}")


@pytest.mark.parametrize("words", ASKED, ids=" ".join)
def test_what_recommend_names(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    load_recommend().main(words)
    said = capsys.readouterr().out
    check(said, least=1)
    for line in said.splitlines():
        if (command := re.search(r"(?<!`)pytest (--\S+.*)", line)) and "ID" not in command[1]:
            named = shlex.split(command[1])
            assert {w for w in named if w.startswith("--")} <= OPTIONS
            assert any(c in line for c in (c.id.partition(".")[0] for c in expand_matrix(load_matrix()).excluded))


@pytest.mark.parametrize("rig", ["sm120x4", "sm120x1_rtx5090"])
def test_what_doctor_names(rig: str, capsys: pytest.CaptureFixture[str]) -> None:
    load_doctor().main(["--rig", rig, "--assume-gpus"])
    check(capsys.readouterr().out, least=2)


def test_what_scripts_compose_files_and_units_name() -> None:
    matrix = load_matrix()
    cells = {c.id: c for c in expand_matrix(matrix).runnable}
    plans = [make_plan(matrix, cells[name]) for name in SHOWN]
    texts = [render_serving_script(plan, ServingPlaces()) for plan in plans]
    recorded = ServingPlaces(read_images=lambda: {plans[1].cell.release.image or "": "sha256:" + "a" * 64})
    texts += [render_unit(plans[0], ServingPlaces()), render_unit(plans[1], recorded)]
    for text in texts:
        check(keep_comments(text), least=1)
    check(keep_comments(render_compose(plans[1])), least=0)


def keep_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.startswith("#"))


def test_an_environment_is_built_for_the_python_that_its_lock_was_resolved_for() -> None:
    for lock in sorted(LOCKS.glob("*.lock")):
        assert find_python(load_matrix(), lock.stem) == "3.12", lock
    assert find_python(load_matrix(), "nothing") != "3.12"
