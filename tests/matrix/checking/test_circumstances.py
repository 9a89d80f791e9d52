"""What stands around a command is told where it matters, and lines that are started as the guides say are not."""

from __future__ import annotations

import pytest

from matrix.checking.circumstances import OF_BOTH
from matrix.checking.judge import CheckRequest, judge_command
from matrix.checking.releases import parse_release
from matrix.checking.rigs import parse_rig
from matrix.checking.sources import read_text
from matrix.preflight.snapshot import list_releases, snapshot_for

OURS = {
    "words_cut_off",
    "option_before_the_image",
    "container_without_gpus",
    "container_with_little_shared_memory",
    "variable_stays_outside",
}
IMAGE = "vllm/vllm-openai:v0.33.0 m -tp 2"
SHM, GPU = "container_with_little_shared_memory", "container_without_gpus"
OUT, BEFORE, CUT = "variable_stays_outside", "option_before_the_image", "words_cut_off"
LINES: list[tuple[str, set[str]]] = [
    (f"docker run --gpus all --ipc=host {IMAGE}", set()),
    (f"docker run --gpus all --ipc host --rm -it {IMAGE}", set()),
    (f"docker run --runtime=nvidia --shm-size=16g {IMAGE}", set()),
    (f"docker run --gpus all -v /dev/shm:/dev/shm {IMAGE}", set()),
    (f"docker run --gpus all --tmpfs /dev/shm:size=16g {IMAGE}", set()),
    (f"podman run --device nvidia.com/gpu=all --ipc=host {IMAGE}", set()),
    (f"docker run --device /dev/kfd --device /dev/dri --ipc=host {IMAGE}", set()),
    (f"docker run {IMAGE}", {GPU, SHM}),
    (f"docker run --gpus all {IMAGE.replace('-tp 2', '-tp 1')}", set()),  # one rank exchanges nothing
    (f"docker run $MORE {IMAGE}", set()),  # what is not known may hold all of it
    (f"docker run --gpus all -v $CACHE {IMAGE}", set()),
    (f"docker run --gpus all --ipc=host --max-model-len 8192 {IMAGE}", {BEFORE}),
    (f"docker run --gpus all --ipc=host --memory 600g --name glm --log-level x {IMAGE}", set()),
    (f"VLLM_LOGGING_LEVEL=DEBUG docker run --gpus all --ipc=host {IMAGE}", {OUT}),
    (f"export NCCL_P2P_DISABLE=1\ndocker run --gpus all --ipc=host {IMAGE}", {OUT}),
    (f"NCCL_P2P_DISABLE=1\ndocker run --gpus all --ipc=host {IMAGE}", set()),  # a shell's own variable
    (f"export NCCL_DEBUG=INFO\ndocker run --gpus all --ipc=host -e NCCL_DEBUG {IMAGE}", set()),
    (f"export NCCL_DEBUG=INFO\ndocker run --gpus all --ipc=host --env-file there.env {IMAGE}", set()),
    (f"export NCCL_DEBUG=INFO\npodman run --env-host --gpus all --ipc=host {IMAGE}", set()),
    (f"export HTTP_PROXY=x\ndocker run --gpus all --ipc=host {IMAGE}", set()),  # no variable of an engine
    ("export NCCL_DEBUG=INFO\napptainer exec --nv docker://vllm/vllm-openai:v0.33.0 vllm serve m -tp 2", set()),
    ("kubectl run glm --image=vllm/vllm-openai:v0.33.0 -- m -tp 2", set()),
    ("vllm serve m \\\n  -tp 2 \\\n  --port 8000\n", set()),
    ("vllm serve m \\\n  -tp 2\n  --port 8000\n", {CUT}),
    ("vllm serve m \\\n  # eight\n  -tp 2\n", {CUT}),
    ("vllm serve m -tp 2 &\nsleep 5\n--port 8000\n", set()),  # whatever that is, it is not of this command
    ("vllm serve m -tp 2\n- a list\n", set()),
]


def told(text: str, name: str) -> set[str]:
    commands, _ = read_text(text, name)
    asked = CheckRequest(release=parse_release("vllm==0.33.0"), host=parse_rig("8x H200"))
    return {f.id for command in commands for f in judge_command(command, asked).findings} & OURS


@pytest.mark.parametrize(("line", "wanted"), LINES)
def test_a_line_is_told_what_stands_around_it(line: str, wanted: set[str]) -> None:
    assert read_text(line, "run.sh")[0], "the line starts nothing"
    assert told(line, "run.sh") == wanted


SERVICE = "services:\n  glm:\n    image: vllm/vllm-openai:v0.33.0\n    command: m -tp 2\n"


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ("", {GPU, SHM}),
        ("    runtime: nvidia\n    ipc: host\n", set()),
        ("    gpus: all\n    shm_size: 16gb\n", set()),
        ("    devices: [nvidia.com/gpu=all]\n    volumes: ['/dev/shm:/dev/shm']\n", set()),
        ("    extends: {file: base.yaml, service: engine}\n", set()),
    ],
)
def test_a_service_is_told_what_it_lacks(more: str, wanted: set[str]) -> None:
    assert told(SERVICE + more, "compose.yaml") == wanted


def test_what_docker_and_an_engine_both_have_is_no_slip() -> None:
    """Each of them is an option of some release, so that leaving one out would be told of a sound line."""
    known = {option for release in list_releases() if (s := snapshot_for(release)) for option in s.options}
    assert known >= OF_BOTH
