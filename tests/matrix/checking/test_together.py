"""Engines of one text that run at the same time: what two of them cannot both have."""

from __future__ import annotations

import pytest

from matrix.checking.judge import CheckRequest, examine_command
from matrix.checking.releases import parse_release
from matrix.checking.rigs import parse_rig
from matrix.checking.sources import read_text
from matrix.checking.together import judge_together

GPUS, PORT, ROWS = "gpus_taken_twice", "port_taken_twice", "transferred_rows_differ"
VLLM = "vllm serve zai-org/GLM-5.1-FP8"
SGLANG = "sglang serve --model-path zai-org/GLM-5.1-FP8 --tp 8"
NVFP4 = "vllm serve nvidia/GLM-5.1-NVFP4"
IMAGE = "--ipc=host vllm/vllm-openai:v0.33.0 nvidia/GLM-5.1-NVFP4"
SERVICE = (
    "  {name}:\n    image: vllm/vllm-openai:v0.33.0\n    ipc: host\n"
    "    command: --model nvidia/GLM-5.1-NVFP4 -tp 4\n{more}"
)
DEVICES = "    deploy: {{resources: {{reservations: {{devices: [{{device_ids: [{ids}], capabilities: [gpu]}}]}}}}}}\n"


def told(text: str, name: str = "run.sh", release: str = "") -> set[str]:
    commands, _ = read_text(text, name)
    host = parse_rig("8x B200")
    named = {"vllm": "vllm==0.33.0", "sglang": release or "sglang==0.5.23"}
    examined = [examine_command(c, CheckRequest(release=parse_release(named[c.engine]), host=host)) for c in commands]
    return {f.id for found in judge_together(examined, host).values() for f in found}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"{VLLM} -tp 8 &\n{VLLM} -tp 8 --port 8001 &\nwait\n", {GPUS}),
        (f"{VLLM} -tp 8 &\n{VLLM} -tp 8 --port 8001\n", {GPUS}),
        (f"{NVFP4} -tp 4 &\n{NVFP4} -tp 4 --port 8001 &\n", {GPUS}),
        (
            f"CUDA_VISIBLE_DEVICES=0,1,2,3 {NVFP4} -tp 4 &\nCUDA_VISIBLE_DEVICES=4,5,6,7 {NVFP4} -tp 4 --port 8001 &\n",
            set(),
        ),
        (f"CUDA_VISIBLE_DEVICES=0,1,2,3 {NVFP4} -tp 4 &\nCUDA_VISIBLE_DEVICES=4,5,6,7 {NVFP4} -tp 4 &\n", {PORT}),
        (f"{SGLANG.replace('8', '4')} &\n{SGLANG.replace('8', '4')} --base-gpu-id 4 --port 30001 &\n", set()),
        (
            f"{VLLM} -tp 8 --gpu-memory-utilization 0.45 &\n{VLLM} -tp 8 --port 8001 --gpu-memory-utilization 0.45 &\n",
            set(),
        ),
        (f"nohup {VLLM} -tp 8 > a.log 2>&1 &\nsleep 600\nnohup {VLLM} -tp 8 > b.log 2>&1 &\n", {GPUS, PORT}),
        # one after the other, on another host, in another branch, in a job's steps, or not to be told
        (f"{VLLM} -tp 8\n{VLLM} -tp 8\n", set()),
        (f"{VLLM} -tp 8 &\nwait\n{VLLM} -tp 8 &\n", set()),
        (f"ssh a {VLLM} -tp 8 &\nssh b {VLLM} -tp 8 &\n", set()),
        (f"ssh a {VLLM} -tp 8 &\nssh a {VLLM} -tp 8 &\n", {GPUS, PORT}),
        (f"if [ $R = a ]; then\n{VLLM} -tp 8 &\nelse\n{VLLM} -tp 8 &\nfi\n", set()),
        (f"srun --gres=gpu:4 {NVFP4} -tp 4 &\nsrun --gres=gpu:4 {NVFP4} -tp 4 --port 8001 &\n", set()),
        (f"CUDA_VISIBLE_DEVICES=$A {NVFP4} -tp 4 &\nCUDA_VISIBLE_DEVICES=$B {NVFP4} -tp 4 --port 8001 &\n", set()),
        # containers
        (
            f"docker run -d --gpus all -p 8000:8000 {IMAGE} -tp 4\n"
            f"docker run -d --gpus all -p 8001:8000 {IMAGE} -tp 4\n",
            {GPUS},
        ),
        (
            f"docker run -d --gpus device=0,1,2,3 -p 8000:8000 {IMAGE} -tp 4\n"
            f"docker run --rm -dit --gpus device=4,5,6,7 -p 8000:8000 {IMAGE} -tp 4\n",
            {PORT},
        ),
        (
            f"docker run -d --gpus device=0,1,2,3 -p 8000:8000 {IMAGE} -tp 4\n"
            f"docker run -d --gpus device=4,5,6,7 -p 8001:8000 {IMAGE} -tp 4\n",
            set(),
        ),
    ],
)
def test_two_engines_of_a_script(text: str, wanted: set[str]) -> None:
    assert told(text) == wanted


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ('    ports: ["8000:8000"]\n    gpus: all\n', '    ports: ["8001:8000"]\n    gpus: all\n', {GPUS}),
        (
            '    ports: ["8000:8000"]\n' + DEVICES.format(ids="'0','1','2','3'"),
            '    ports: ["8000:8000"]\n' + DEVICES.format(ids="'4','5','6','7'"),
            {PORT},
        ),
        (DEVICES.format(ids="'0','1','2','3'"), DEVICES.format(ids="'3','4','5','6'"), {GPUS}),
        (DEVICES.format(ids="'0','1','2','3'"), DEVICES.format(ids="'4','5','6','7'"), set()),
        ("    gpus: all\n", "    gpus: all\n    profiles: [other]\n", set()),
    ],
)
def test_two_services_of_a_file(first: str, second: str, wanted: set[str]) -> None:
    text = "services:\n" + SERVICE.format(name="a", more=first) + SERVICE.format(name="b", more=second)
    assert told(text, "compose.yaml") == wanted


@pytest.mark.parametrize(
    ("prefill", "decode", "wanted"),
    [
        ("--kv-cache-dtype fp8_e4m3", "--kv-cache-dtype bf16", {ROWS}),
        ("--kv-cache-dtype bf16", "", {ROWS}),  # fp8 is Blackwell's own choice
        ("", "", set()),
        ("--kv-cache-dtype fp8_e4m3", "--kv-cache-dtype fp8_e4m3", set()),
        ("--kv-cache-dtype $ROWS", "--kv-cache-dtype bf16", set()),
    ],
)
def test_a_prefill_and_a_decode_server_keep_the_same_rows(prefill: str, decode: str, wanted: set[str]) -> None:
    text = (
        f"ssh a {SGLANG} --disaggregation-mode prefill {prefill} &\n"
        f"ssh b {SGLANG} --disaggregation-mode decode {decode} &\n"
    )
    assert told(text) == wanted
