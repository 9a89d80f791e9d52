"""The printed script is the plan: bash parses it back into the very same argv and environment."""

from __future__ import annotations

import json
import random
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from matrix.output import script as shell
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.load import load_matrix
from tests.matrix.world import FILES, write

AWKWARD = """
  - id: awkward
    when: {rig: sm120x4, engine: toy}
    args:
      --json: {pattern: "{pattern}", 'quote"s': "it's $HOME `x` {model}/t.jinja"}
      --template: "{model}/chat template.jinja"
    env: {TEXT: "two words; $(no)"}
    why: everything a shell could trip over
    source: test
"""


def awkward_plan(root: Path) -> Plan:
    matrix = load_matrix(write(root, {"recipes/toy.yaml": FILES["recipes/toy.yaml"] + AWKWARD}))
    return make_plan(matrix, next(c for c in expand_matrix(matrix).runnable if c.id == "sm120x4.toy_1.small.baseline"))


def run(script: str, tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    """Run the script with a `toy` that prints what it was given."""
    toy = tmp_path / "toy"
    toy.write_text(f"#!{sys.executable}\nimport json,os,sys\nprint(json.dumps([sys.argv[1:], dict(os.environ)]))\n")
    toy.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "MODEL": "/m dir", "PORT": "7"}
    done = subprocess.run(["bash"], input=script, env=env, capture_output=True, text=True, check=True, cwd=tmp_path)
    argv, environment = json.loads(done.stdout)
    return argv, environment


def test_bash_reads_back_exactly_the_plan(tmp_path: Path) -> None:
    made = awkward_plan(tmp_path)
    argv, env = run(shell.render_script(made), tmp_path)
    assert argv == made.argv(model="/m dir", port="7")[1:]
    assert env["TEXT"] == "two words; $(no)" and env["TOY"] == "1"


def test_the_script_is_deterministic_and_names_its_cell(tmp_path: Path) -> None:
    text = shell.render_script(awkward_plan(tmp_path))
    assert text == shell.render_script(awkward_plan(tmp_path))
    assert "# cell        sm120x4.toy_1.small.baseline" in text and text.endswith("\n")


ATTACKS = [
    "$(touch PWNED)",
    "`touch PWNED`",
    "x}; touch PWNED; echo ${Z:-",
    "'; touch PWNED; '",
    '"; touch PWNED; "',
    "a\ntouch PWNED\n",
    "; touch PWNED",
    "& touch PWNED &",
    "| touch PWNED",
    "> PWNED",
    "$HOME",
    "${MODEL}",
    "{model}x",
    "a b",
    "",
    " ",
    "-rf",
    "--",
    "~",
    "*",
    "?",
    "[a]",
    "!!",
    "!1",
    "%s%n",
    "${{ github.token }}",
    "\\",
    "\\'",
    "'",
    '"',
    "''",
    "a\\\nb",
    "\t",
    "\r",
    "é",
    "\u202e",
    "#",
    "a #b",
    "$'\\x41'",
    '$"x"',
    "{a,b}",
    "=x",
    "a=b",
    "(x)",
    "<(x)",
    "YAML",
    "YAML\ntouch PWNED",
    "\x1b[2J",
    "|",
    "\\|",
    "${x@Q}",
    "x'y{port}'z",
]
RANDOM = random.Random(14)
WORDS = [
    *ATTACKS,
    *("".join(RANDOM.choices("ab'\"\\$`(){};&|<>*?!#~%= \n\t-", k=RANDOM.randint(1, 12))) for _ in range(300)),
]
PLAIN = [w for w in WORDS if "{model}" not in w and "{port}" not in w]  # else a variable of the script takes its place


def printed(script: str, where: Path) -> list[str]:
    done = subprocess.run(
        ["bash"], input=script.encode(), capture_output=True, check=True, cwd=where, env={"HOME": "/h"}
    )
    assert not (where / "PWNED").exists(), "a value was executed"
    return done.stdout.decode().split("\0")[:-1]


def test_any_text_is_one_argument_of_the_script(tmp_path: Path) -> None:
    script = "\n".join(f"printf '%s\\0' {shell.quote_word(w)}" for w in PLAIN)
    assert printed(script, tmp_path) == [w.replace("~/", "/h/", 1) if w.startswith("~/") else w for w in PLAIN]


def test_any_text_is_one_argument_of_a_shell_inside_the_shell(tmp_path: Path) -> None:
    words = (["printf", r"%s%s%s\0", w, "{model}", "/x{model}"] for w in PLAIN)
    lines = (f"eval {shell.quote_line(line)}" for line in words)
    model = "a 'b' $(touch PWNED); c"
    script = "\n".join([f"MODEL={shlex.quote(model)}", *lines])
    assert printed(script, tmp_path) == [f"{w}{model}/x{model}" for w in PLAIN]


def named(part: str, text: str) -> Any:
    return {part: text}


@pytest.mark.parametrize("part", ["repository", "weights_path", "id"])
def test_any_text_is_the_default_of_the_model(tmp_path: Path, part: str) -> None:
    small = awkward_plan(tmp_path).cell.checkpoint
    defaults = (shell._model_expression(replace(small, **named(part, w))) for w in WORDS)
    script = "".join(f"unset MODEL\nMODEL=${{MODEL:-{default}}}\nprintf '%s\\0' \"$MODEL\"\n" for default in defaults)
    empty = "" if part == "id" else small.id
    assert printed(script, tmp_path) == [w or empty for w in WORDS]


@pytest.mark.parametrize("text", ["x\ntouch PWNED", "x\u2028touch PWNED", "x\rtouch PWNED\r"])
def test_a_comment_ends_where_its_line_ends(text: str, tmp_path: Path) -> None:
    assert printed(f"{shell.format_comment(text)}\nprintf 'ok\\0'", tmp_path) == ["ok"]


def test_a_file_in_the_script_ends_where_it_ends(tmp_path: Path) -> None:
    tree = {"a": "YAML", "b": "x\nYAML\ntouch PWNED\n", "YAML\ntouch PWNED": ["YAML"]}
    made = awkward_plan(tmp_path)
    setting = made.sections["args"][0]
    sections = {**made.sections, "serve_config": tuple(replace(setting, path=(k,), value=v) for k, v in tree.items())}
    printed("\n".join(shell._write_files(replace(made, sections=sections))), tmp_path)
    assert yaml.safe_load((tmp_path / "serve_config.yaml").read_text()) == tree


def test_a_container_with_a_shell_gets_the_model_as_one_word(tmp_path: Path) -> None:
    launcher = {"kind": "docker", "entrypoint": "/bin/bash", "shell": ["-lc"], "rm": True}
    made = awkward_plan(tmp_path)
    setting = made.sections["args"][0]
    sections = {**made.sections, "launcher": tuple(replace(setting, path=(k,), value=v) for k, v in launcher.items())}
    plan = replace(made, cell=replace(made.cell, release=replace(made.cell.release, image="a/b:c")), sections=sections)
    (tmp_path / "docker").write_text('#!/bin/bash\nexec bash -c "${@: -1}"\n')
    (tmp_path / "docker").chmod(0o755)
    argv, _ = run(shell.render_script(plan), tmp_path)
    assert argv == plan.argv(model="/m dir", port="7")[1:]
