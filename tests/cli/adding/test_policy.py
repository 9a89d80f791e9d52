"""`glm-matrix add policy`: a file that the gate reads and commands that exist; what is refused leaves no file."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cli.adding import policy
from cli.adding.command import main
from cli.program import main as glm_matrix
from matrix.errors import ConfigError
from matrix.yaml.load import load_matrix
from reports.gate.policy import load_policy

CELL = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline"


def test_it_writes_what_the_gate_reads_and_names_the_next_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["policy", "--gpus", "4x RTX PRO 6000"]) == 0
    said = capsys.readouterr().out
    assert load_policy(tmp_path / "gate_sm120x4.yaml")[0].require[0].glob == CELL
    assert "GPU-hours, estimated" in said
    commands = [line.removeprefix("next: ") for line in said.splitlines() if line.startswith("next: ")]
    assert len(commands) == 5
    for words in (shlex.split(c) for c in commands if c.startswith("glm-matrix ")):
        with pytest.raises(SystemExit) as ended:
            glm_matrix([words[1], "--help"])
        assert ended.value.code == 0
    assert main(["policy", "--rig", "sm120x4"]) == 2
    assert "there is one already; choose another --out" in capsys.readouterr().err


def test_a_path_with_a_blank_is_one_word_of_each_next_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "my gates" / "it's.yaml"
    assert main(["policy", "--rig", "sm120x4", "--cell", CELL, "--out", str(path)]) == 0
    commands = [line.removeprefix("next: ") for line in capsys.readouterr().out.splitlines() if "--policy" in line]
    assert commands and all(shlex.split(c)[-1] == str(path) for c in commands)


def test_a_dry_run_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["policy", "--rig", "sm120x4", "--cell", CELL.replace("baseline", "mtp"), "--dry-run"]) == 0
    assert "require:" in capsys.readouterr().out and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--rig", "sm12x4"], "no rig 'sm12x4'"),
        (["--gpus", "8x MI355X"], "glm-matrix probe"),
        (["--gpus", "3x B200"], "glm-matrix add rig --gpu"),
        (["--rig", "sm120x4", "--budget", "1m"], "alone takes about"),
    ],
)
def test_what_has_no_gate_is_one_error_and_no_file(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["policy", *words]) == 2
    assert told in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_file_that_the_gate_refuses_is_taken_back(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text("title: t\nrequire: []\nmax_age_h: 1\n")
    with pytest.raises(ConfigError, match="requires nothing"):
        policy._read_back(tmp_path / "gate.yaml", load_matrix())
