"""What stands around a command is told where it matters, and lines that are started as the guides say are not."""

from __future__ import annotations

import pytest

from matrix.checking.circumstances import OF_BOTH
from matrix.checking.judge import CheckRequest, judge_command
from matrix.checking.reach import HOSTS, PORTS
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
    "bound_to_loopback",
    "port_not_published",
    "path_outside_the_mounts",
    "entry_point_twice",
    "several_words_in_one",
    "value_is_no_text",
    "killed_while_it_loads",
    "unit_without_a_shell",
    "unit_waits_for_ready",
    "variable_lost_to_sudo",
    "expanded_before_it_is_set",
    "carriage_returns",
}
IMAGE = "vllm/vllm-openai:v0.33.0 m -tp 2"
SHM, GPU = "container_with_little_shared_memory", "container_without_gpus"
OUT, BEFORE, CUT = "variable_stays_outside", "option_before_the_image", "words_cut_off"
PORT, LOOP, MOUNT, TWICE = "port_not_published", "bound_to_loopback", "path_outside_the_mounts", "entry_point_twice"
EARLY, SUDO, GLUED, CRLF = (
    "expanded_before_it_is_set",
    "variable_lost_to_sudo",
    "several_words_in_one",
    "carriage_returns",
)
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
    # ports, mounts and the entry point of a container
    (f"docker run --gpus all --ipc=host -p 8000:8000 {IMAGE}", set()),
    (f"docker run --gpus all --ipc=host -p 9000:9000 {IMAGE}", {PORT}),
    (f"docker run --gpus all --ipc=host -p 127.0.0.1:9000:8000/tcp {IMAGE}", set()),
    (f"docker run --gpus all --ipc=host -p 7990-8010:7990-8010 {IMAGE}", set()),
    (f"docker run --gpus all --ipc=host -p 9000:9000 {IMAGE} --port 9000", set()),
    (f"docker run --gpus all --ipc=host -p 9000:9000 {IMAGE} --port $P", set()),
    (f"docker run --gpus all --ipc=host -p 9000:9000 --network host {IMAGE}", set()),
    (f"docker run --gpus all --ipc=host -p 8000:8000 {IMAGE} --host 127.0.0.1", {LOOP}),
    (f"docker run --gpus all --ipc=host -v /w:/w {IMAGE.replace(' m ', ' /w/m ')}", set()),
    (f"docker run --gpus all --ipc=host -v /w:/w {IMAGE.replace(' m ', ' /x/m ')}", {MOUNT}),
    (f"docker run --gpus all --ipc=host -v /w:/w {IMAGE.replace(' m ', ' /ww/m ')}", {MOUNT}),
    (f"docker run --gpus all --ipc=host --mount type=bind,source=/w,target=/w {IMAGE.replace(' m ', ' /w/m ')}", set()),
    (f"docker run --gpus all --ipc=host {IMAGE.replace(' m ', ' /w/m ')}", {MOUNT}),
    ("docker run --gpus all --ipc=host me/vllm:v0.33.0 vllm serve /w/m -tp 2", set()),  # may hold weights
    (f"docker run --gpus all --ipc=host -v $W:/w {IMAGE.replace(' m ', ' /x/m ')}", {MOUNT}),
    (f"docker run --gpus all --ipc=host {IMAGE.replace(' m ', ' vllm serve m ')}", {TWICE}),
    ("docker run --gpus all --ipc=host --entrypoint vllm vllm/vllm-openai:v0.33.0 serve m -tp 2", set()),
    # what a shell does, and what it does not
    ("TP=2 vllm serve m -tp $TP", {EARLY}),
    ("TP=2\nvllm serve m -tp $TP", set()),
    ("export TP=2; vllm serve m -tp $TP", set()),
    ("VLLM_X=1 vllm serve m -tp $TP", set()),
    ("NCCL_DEBUG=INFO sudo vllm serve m -tp 2", {SUDO}),
    ("NCCL_DEBUG=INFO sudo -E vllm serve m -tp 2", set()),
    ("NCCL_DEBUG=INFO sudo --preserve-env=NCCL_DEBUG vllm serve m -tp 2", set()),
    ("sudo NCCL_DEBUG=INFO vllm serve m -tp 2", set()),
    ("vllm serve m '--tensor-parallel-size 2'", {GLUED}),
    ("vllm serve m --served-model-name 'a b' -tp 2", set()),
    ("#!/bin/bash\r\nvllm serve m \\\r\n  -tp 2\r\n", {CRLF}),
    ("vllm serve m -tp 2\r\n", set()),
    ("apptainer exec docker://vllm/vllm-openai:v0.33.0 vllm serve m -tp 2", {GPU}),
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
        ("    gpus: all\n    ipc: host\n    ports: ['9000:9000']\n", {PORT}),
        ("    gpus: all\n    ipc: host\n    ports: [{target: 8000, published: 9000}]\n", set()),
        ("    gpus: all\n    ipc: host\n    ports: ['9000:9000']\n    network_mode: host\n", set()),
    ],
)
def test_a_service_is_told_what_it_lacks(more: str, wanted: set[str]) -> None:
    assert told(SERVICE + more, "compose.yaml") == wanted


def test_what_docker_and_an_engine_both_have_is_no_slip() -> None:
    """Each of them is an option of some release, so that leaving one out would be told of a sound line."""
    known = {option for release in list_releases() if (s := snapshot_for(release)) for option in s.options}
    assert known >= OF_BOTH


POD = """apiVersion: v1
kind: Pod
metadata: {name: glm}
spec:
  containers:
  - name: glm
    image: vllm/vllm-openai:v0.33.0
    args: [zai-org/GLM-5.1-FP8, -tp, "8"]
"""
MEMORY = "    volumeMounts: [{name: shm, mountPath: /dev/shm}]\n"


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ("", {SHM}),
        (MEMORY, set()),
        ("  hostIPC: true\n", set()),
        (f"{MEMORY}    env: [{{name: A, value: 1}}]\n", {"value_is_no_text"}),
        (f"{MEMORY}    env: [{{name: A, value: true}}]\n", {"value_is_no_text"}),
        (
            f"{MEMORY}    env: [{{name: A, value: '1'}}, {{name: B, valueFrom: {{fieldRef: {{}}}}}}]\n",
            set(),
        ),
        (f"{MEMORY}    livenessProbe: {{httpGet: {{port: 8000}}}}\n", {"killed_while_it_loads"}),  # 30 s by default
        (f"{MEMORY}    livenessProbe: {{httpGet: {{port: 8000}}, initialDelaySeconds: 1800}}\n", set()),
        (f"{MEMORY}    startupProbe: {{failureThreshold: 360}}\n    livenessProbe: {{periodSeconds: 5}}\n", set()),
        (f"{MEMORY}    ports: [{{containerPort: 9000}}]\n", {PORT}),
        (f"{MEMORY}    ports: [{{containerPort: 9000}}]\n  hostNetwork: true\n", set()),
    ],
)
def test_a_pod_is_told_what_its_manifest_says(more: str, wanted: set[str]) -> None:
    assert told(POD + more, "pod.yaml") == wanted


@pytest.mark.parametrize(
    ("unit", "wanted"),
    [
        ("ExecStart=/opt/venv/bin/vllm serve m -tp 2\n", set()),
        ("ExecStart=cd /opt && /opt/venv/bin/vllm serve m -tp 2\n", {"unit_without_a_shell"}),
        ("ExecStart=/opt/venv/bin/vllm serve m -tp 2 > /var/log/glm.log\n", {"unit_without_a_shell"}),
        ("ExecStart=/bin/bash -c 'cd /opt && vllm serve m -tp 2 > log'\n", set()),
        ("Type=notify\nExecStart=/opt/venv/bin/vllm serve m -tp 2\n", {"unit_waits_for_ready"}),
        ("Type=exec\nExecStart=/opt/venv/bin/vllm serve m -tp 2\n", set()),
    ],
)
def test_a_unit_is_told_what_systemd_does_not(unit: str, wanted: set[str]) -> None:
    assert told(f"[Service]\n{unit}", "glm.service") == wanted


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("#SBATCH --gres=gpu:4\nsrun vllm serve m -tp 8\n", "4"),
        ("#SBATCH --gres=gpu:h200:4\nvllm serve m -tp 8\n", "4"),
        ("#SBATCH --gpus-per-node=4\nvllm serve m -tp 8\n", "4"),
        ("#SBATCH --gpus=8\n#SBATCH -N 2\nvllm serve m -tp 8\n", "4"),
        ("#PBS -l select=1:ncpus=32:ngpus=4\nvllm serve m -tp 8\n", "4"),
        ("srun --gres=gpu:2 vllm serve m -tp 8\n", "2"),
        ("#SBATCH --cpus-per-gpu=4\nvllm serve m -tp 8\n", ""),
        ("# --gres=gpu:4\nvllm serve m -tp 8\n", ""),
    ],
)
def test_a_job_says_how_many_gpus_it_has(text: str, gpus: str) -> None:
    (command,) = read_text(text, "job.sh")[0]
    assert command.gpus == gpus


@pytest.mark.parametrize(
    ("limit", "level"), [("--memory 64g", "wrong"), ("-m 900g", None), ("--memory 1t", None), ("", None)]
)
def test_what_a_launch_pins_is_held_against_the_containers_memory(limit: str, level: str | None) -> None:
    line = (
        f"docker run --gpus all --ipc=host {limit} lmsysorg/sglang:v0.5.23 sglang serve --model-path"
        " zai-org/GLM-5.1-FP8 --tp 8 --enable-hierarchical-cache --hicache-size 64"
    )
    (command,) = read_text(line, "run.sh")[0]
    found = judge_command(command, CheckRequest(host=parse_rig("8x H200"))).findings
    assert next((f.level for f in found if f.id == "pins_more_than_the_container_has"), None) == level


def test_where_a_release_listens_is_what_its_parser_says() -> None:
    """The constants hold for every release that was read: its own default of --host and --port."""
    for release in list_releases():
        snapshot = snapshot_for(release)
        if snapshot is None or snapshot.engine not in ("sglang", "vllm", "trtllm") or "--port" not in snapshot.options:
            continue
        found = {o: f.default.strip("'\"") for f in snapshot.flags for o in f.options if o in ("--host", "--port")}
        assert found["--port"] == str(PORTS[snapshot.engine]), release
        assert found["--host"].replace("None", "") == HOSTS[snapshot.engine], release


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('VLLM_PP_LAYER_PARTITION="38,40"', {"environment_file_keeps_quotes"}),
        ("NCCL_DEBUG='WARN'", {"environment_file_keeps_quotes"}),
        ("export NCCL_DEBUG=WARN", {"environment_file_exports"}),
        ("NCCL_DEBUG=WARN # quiet", {"environment_file_keeps_comments"}),
        ("# export NCCL_DEBUG='WARN'", set()),
        ("NCCL_DEBUG=WARN", set()),
        ("A=b'c", set()),
    ],
)
@pytest.mark.parametrize(
    "program", ["docker run --gpus all --ipc=host --env-file own.env vllm/vllm-openai:v0.33.0 m", ""]
)
def test_docker_reads_a_file_of_variables_literally(program: str, line: str, wanted: set[str]) -> None:
    """What a shell reads by `source` has quotes, comments and exports; docker takes each line as it is."""
    text = program or "source own.env\nvllm serve m"
    (command,) = read_text(text, "run.sh", lambda path: f"{line}\n" if path == "own.env" else None)[0]
    assert {c.id for c in command.circumstances if c.id.startswith("environment_file")} == (
        wanted if program else set()
    )


REFUSED = """apiVersion: v1
kind: Pod
spec:
  containers:
  - name: glm
    image: vllm/vllm-openai:v0.33.0
    args: {args}
    resources: {resources}
"""


@pytest.mark.parametrize(
    ("args", "resources", "wanted"),
    [
        ("[--model, m, -tp, 8]", "{limits: {nvidia.com/gpu: 8}}", "word_is_no_text"),
        ("[--model, m, --trust-remote-code, true]", "{limits: {nvidia.com/gpu: 8}}", "word_is_no_text"),
        ('[--model, m, -tp, "8"]', "{limits: {nvidia.com/gpu: 8}}", ""),
        ("[--model, m]", "{requests: {nvidia.com/gpu: 8}}", "gpus_without_a_limit"),
        ("[--model, m]", "{requests: {nvidia.com/gpu: 4}, limits: {nvidia.com/gpu: 8}}", "gpus_without_a_limit"),
        ("[--model, m]", "{requests: {nvidia.com/gpu: 8}, limits: {nvidia.com/gpu: 8}}", ""),
        ("[--model, m]", "{requests: {memory: 8Gi}, limits: {nvidia.com/gpu: 8}}", ""),
    ],
)
def test_what_an_api_server_refuses_of_a_pod(args: str, resources: str, wanted: str) -> None:
    (command,) = read_text(REFUSED.replace("{args}", args).replace("{resources}", resources), "pod.yaml")[0]
    told = {c.id for c in command.circumstances} & {"word_is_no_text", "gpus_without_a_limit"}
    assert told == ({wanted} if wanted else set())


def test_compose_wants_words_too() -> None:
    text = "services:\n  glm:\n    image: vllm/vllm-openai:v0.33.0\n    command: [--model, m, -tp, 8]\n"
    (command,) = read_text(text, "compose.yaml")[0]
    assert "word_is_no_text" in {c.id for c in command.circumstances}


@pytest.mark.parametrize(
    ("command", "dotenv", "wanted", "value"),
    [
        ("--model m --tensor-parallel-size $TP", "", True, "$TP"),
        ("--model m --tensor-parallel-size ${TP:-8}", "", False, "8"),
        ("--model m --tensor-parallel-size ${TP}", "TP=4\n", False, "4"),
        ("--model m --tensor-parallel-size $$TP", "", False, "$TP"),
        ("--model m --tensor-parallel-size $OTHER", "", False, "$OTHER"),
    ],
)
def test_compose_fills_its_variables_from_outside(command: str, dotenv: str, wanted: bool, value: str) -> None:
    service = f"image: vllm/vllm-openai:v0.33.0\n    environment: {{TP: '8'}}\n    command: {command}\n"
    text = f"services:\n  glm:\n    {service}"
    (found,) = read_text(text, "compose.yaml", lambda path: dotenv if path == ".env" else None)[0]
    assert ("compose_fills_from_outside" in {c.id for c in found.circumstances}) == wanted
    assert found.argv[-1].text == value
