"""Forms that `show` writes are read back by `check`: engine, release by the image's digest, and no alarm."""

from __future__ import annotations

import pytest

from matrix.checking.judge import CheckRequest, judge_command
from matrix.checking.releases import release_of_image
from matrix.checking.rigs import parse_rig
from matrix.checking.sources import read_text
from matrix.planning.expand import find_cell
from matrix.planning.plan import make_plan
from matrix.serving.container import render_compose
from matrix.serving.places import ServingPlaces
from matrix.serving.script import render_serving_script
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
CELL = "sm90x8.vllm_0_26_0.glm51_fp8.baseline"
PLACES = ServingPlaces(checkout="/c", local={"roots": ["/data"], "models": {}, "environments": {}})


@pytest.mark.parametrize("name", ["compose.yaml", "serve.sh"])
def test_a_form_of_a_container_names_its_release_and_is_fine(name: str) -> None:
    cell = find_cell(MATRIX, CELL)
    assert cell is not None
    plan = make_plan(MATRIX, cell)
    text = render_compose(plan) if name.endswith("yaml") else render_serving_script(plan, PLACES, docker=True)
    (command,) = read_text(text, name)[0]
    judged = judge_command(command, CheckRequest(host=parse_rig("sm90x8")))
    assert judged.release == "vllm==0.26.0"
    assert [f.id for f in judged.findings if f.level != "note"] == []


def test_a_digest_of_nobody_names_no_release() -> None:
    found = release_of_image(f"vllm/vllm-openai@sha256:{'0' * 64}")
    assert found is not None and not found.version


def test_an_empty_array_is_no_word_and_an_empty_variable_is_one() -> None:
    start = "exec docker run --gpus all --ipc host"
    image = "vllm/vllm-openai:v0.26.0 m -tp 2"
    for more, many in (('M=()\n{} "${{M[@]}}" {}', 1), ('M=(-v /w:/w)\n{} "${{M[@]}}" {}', 1), ('M=\n{} "$M" {}', 0)):
        assert len(read_text(more.format(start, image), "run.sh")[0]) == many
