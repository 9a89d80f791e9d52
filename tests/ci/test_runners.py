from __future__ import annotations

from pathlib import Path

import pytest

from ci import runners
from matrix.errors import ConfigError
from matrix.yaml.load import load_matrix
from tests.ci.world import RIGS, RUNNERS, SERVED, write


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        runners.load_runners(RIGS, path)
    return [str(p) for p in caught.value.problems]


def test_a_sound_file_loads(tmp_path: Path) -> None:
    assert runners.load_runners(RIGS, write(tmp_path)) == SERVED


def test_the_committed_file_knows_every_rig_of_the_axes() -> None:
    rigs = load_matrix().rigs
    assert set(runners.load_runners(rigs)) == set(rigs)


def test_a_rig_without_an_entry_is_a_problem(tmp_path: Path) -> None:
    text = RUNNERS.replace("  cpu: {none: runs on a laptop}\n", "")
    assert problems(write(tmp_path, text)) == [
        "ci/runners.yaml:1 runners: no entry for rig 'cpu': name its runner, or say `none: why`"
    ]


def test_every_problem_is_reported_at_once_with_its_line(tmp_path: Path) -> None:
    text = (
        RUNNERS.replace("  sm120x1:", "  sm12Ox1:")
        .replace("host: desk, launch_timeout_min: 20", "hosts: desk, launch_timeout_min: soon")
        .replace("host: big, ", "")
    )
    found = "\n".join(problems(write(tmp_path, text)))
    assert "ci/runners.yaml:3 runners.sm12Ox1: no rig 'sm12Ox1'; did you mean 'sm120x1'?" in found
    assert "ci/runners.yaml:4 runners.sm120x3.hosts: unknown key 'hosts'; did you mean 'host'?" in found
    assert "ci/runners.yaml:4 runners.sm120x3.launch_timeout_min: expected a whole number, got 'soon'" in found


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("host: big, ", "", "ci/runners.yaml:5 runners.sm120x4: missing key 'host'"),
        ("labels: [gpu, x4], ", "", "ci/runners.yaml:5 runners.sm120x4: missing key 'labels'"),
        ("{none: runs", "{models: /m, none: runs", "ci/runners.yaml:2 runners.cpu.models: 'models' beside `none`"),
        ("runners:", "runner:", "unknown key 'runner'; did you mean 'runners'?"),
        ("  cpu:", "\t cpu:", "not valid YAML"),
        ("models: /m}\n", "models: /m, models: /n}\n", "duplicate key 'models'"),
    ],
)
def test_what_cannot_be_meant_is_a_problem(tmp_path: Path, before: str, after: str, message: str) -> None:
    found = problems(write(tmp_path, RUNNERS.replace(before, after)))
    assert any(message in p for p in found), found
