"""The printed script is the plan: bash parses it back into the very same argv and environment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
