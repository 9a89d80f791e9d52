"""Readers: a shell script, docker run, compose, Kubernetes, a page; what they cannot read is told with its line."""

from __future__ import annotations

import shlex
import string
from textwrap import dedent

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from matrix.checking.launchers import Command, find_start
from matrix.checking.sources import read_text, read_words
from matrix.checking.variables import words_of


def read_one(text: str, name: str = "launch.sh") -> Command:
    commands, problems = read_text(dedent(text), name)
    assert not problems
    assert len(commands) == 1
    return commands[0]


def argv(command: Command) -> list[str]:
    return [word.text for word in command.argv]


@pytest.mark.parametrize(
    ("line", "engine", "first"),
    [
        ("python -m sglang.launch_server --model-path /w", "sglang", "--model-path"),
        ("python3.12 -u -m sglang.launch_server --model-path /w", "sglang", "--model-path"),
        ("sglang serve --model-path /w", "sglang", "--model-path"),
        ("vllm serve /w -tp 8", "vllm", "/w"),
        ("/opt/venv/bin/vllm serve /w", "vllm", "/w"),
        ("python -m vllm.entrypoints.openai.api_server --model /w", "vllm", "--model"),
        ("trtllm-serve /w --tp_size 8", "trtllm", "/w"),
        ("trtllm-serve serve /w --tp_size 8", "trtllm", "/w"),
        ("mpirun -n 8 trtllm-llmapi-launch trtllm-serve /w", "trtllm", "/w"),
        ("CUDA_VISIBLE_DEVICES=0,1 nohup numactl -N 0 vllm serve /w", "vllm", "/w"),
        ("sudo -E env A=b timeout 60 vllm serve /w", "vllm", "/w"),
        ("uv run --with vllm vllm serve /w", "vllm", "/w"),
        ("bash -lc 'exec vllm serve /w'", "vllm", "/w"),
        ("$ vllm serve /w", "vllm", "/w"),
        ("nsys profile -o rep -t cuda,nvtx vllm serve /w", "vllm", "/w"),
        ("compute-sanitizer --tool memcheck vllm serve /w", "vllm", "/w"),
        ("srun -N1 --ntasks 8 --mpi pmix trtllm-llmapi-launch trtllm-serve serve /w", "trtllm", "/w"),
        ("enroot start --rw box vllm serve /w", "vllm", "/w"),
        ("docker exec -it box vllm serve /w", "vllm", "/w"),
        ("docker exec box bash -lc 'vllm serve /w'", "vllm", "/w"),
        ("docker compose run vllm vllm serve /w", "vllm", "/w"),
        ("tmux new-session -d -s llm 'vllm serve /w'", "vllm", "/w"),
        ("su - me -c 'vllm serve /w'", "vllm", "/w"),
        ("flock -n /tmp/l -c 'cd /x && vllm serve /w'", "vllm", "/w"),
        ("watch -n 5 vllm serve /w", "vllm", "/w"),
        ("python3 -u -X faulthandler -W ignore -m sglang.launch_server --model-path /w", "sglang", "--model-path"),
        ("CMD='vllm serve /w -tp 2'; eval $CMD", "vllm", "/w"),
        ("CMD='cd /x && exec vllm serve /w'; eval \"$CMD\"", "vllm", "/w"),
    ],
)
def test_launchers_are_known(line: str, engine: str, first: str) -> None:
    command = read_one(line)
    assert (command.engine, argv(command)[0]) == (engine, first)


@pytest.mark.parametrize(
    "line",
    [
        "vllm bench serve --model x",
        "python train.py",
        "echo vllm-serve",
        "docker pull vllm/vllm-openai",
        "",
        "echo vllm serve /w",
        "pkill -f 'vllm serve /w'",
        "grep vllm serve log",
        "git commit -m 'vllm serve /w'",
        "docker build -t vllm serve .",
        "kubectl logs vllm serve x",
        "python train.py vllm serve x",
        "for i in vllm serve x; do echo $i; done",
        "foo vllm serve",
    ],
)
def test_what_starts_no_engine_is_none(line: str) -> None:
    assert read_text(line, "x.sh")[0] == []


@pytest.mark.parametrize(
    ("text", "words", "open_ones"),
    [
        ("TP=$((4*2)); vllm serve /w -tp $TP", ["/w", "-tp", "8"], []),
        ("N=9; vllm serve $(( (N - 1) / 2 )) $((0-N/2)) $((-N%4)) $(($N*${N}))", ["4", "-4", "-1", "81"], []),
        ("vllm serve $((N*2)) $((1/0)) $((2**9)) $((1<<3)) $((010+1))", None, [0, 1, 2, 3, 4]),
        (
            "TP=$(nvidia-smi -L | wc -l); vllm serve /w -tp $TP --x 1",
            ["/w", "-tp", "$(nvidia-smi...)", "--x", "1"],
            [2],
        ),
        ("A=(a b); vllm serve ${A[1]} ${A[-1]} ${A[0]} x${A[7]} ${A[@]}", ["b", "b", "a", "x", "a", "b"], []),
        ("A=(a b); vllm serve ${A[i]} ${A[@]}", ["${A[i]}", "a", "b"], [0]),
    ],
)
def test_what_a_shell_computes_is_computed_or_open(text: str, words: list[str] | None, open_ones: list[int]) -> None:
    found = read_one(text).argv
    assert [n for n, word in enumerate(found) if not word.known] == open_ones
    assert words is None or [word.text for word in found] == words


def test_a_script_is_followed() -> None:
    command = read_one(
        """\
        #!/usr/bin/env bash
        set -euo pipefail
        # a comment with 'quotes
        MODEL=zai-org/GLM-5-FP8   # and one at the end
        export NCCL_P2P_LEVEL=PHB
        ARGS=(--tp "${TP:-8}")
        ARGS+=(--context-length 65536)
        OVERRIDE='{"index_topk_freq": 4}'
        exec python -m sglang.launch_server \\
            --model-path "$MODEL" "${ARGS[@]}" \\
            --json-model-override-args "$OVERRIDE" --served-model-name $UNSET
        """
    )
    assert argv(command) == [
        "--model-path",
        "zai-org/GLM-5-FP8",
        "--tp",
        "8",
        "--context-length",
        "65536",
        "--json-model-override-args",
        '{"index_topk_freq": 4}',
        "--served-model-name",
        "$UNSET",
    ]
    assert command.argv[-1].holes == ("UNSET",)
    assert command.env["NCCL_P2P_LEVEL"].text == "PHB"
    assert "MODEL" not in command.env
    assert command.argv[0].line == 10


def test_docker_run_has_its_own_environment() -> None:
    command = read_one(
        """\
        export VLLM_OUTSIDE=1
        docker run --gpus '"device=0,1"' --rm -it -e VLLM_INSIDE=1 -e VLLM_OUTSIDE -v ~/m:/m -p 8000:8000 --ipc=host \\
          vllm/vllm-openai:v0.33.0 --model /m --tensor-parallel-size 2
        """
    )
    assert command.engine == "vllm"
    assert argv(command) == ["--model", "/m", "--tensor-parallel-size", "2"]
    assert {name: word.text for name, word in command.env.items()} == {"VLLM_INSIDE": "1", "VLLM_OUTSIDE": "1"}
    assert command.image is not None
    assert command.image.text == "vllm/vllm-openai:v0.33.0"
    assert command.gpus == "device=0,1"


def test_a_file_that_the_script_writes_is_kept() -> None:
    command = read_one(
        """\
        cat > /tmp/extra.yaml <<'YAML'
        kv_cache_config:
          dtype: fp8
        YAML
        trtllm-serve /w --extra_llm_api_options /tmp/extra.yaml
        """
    )
    assert command.files["/tmp/extra.yaml"].text == "kv_cache_config:\n  dtype: fp8"
    assert command.files["/tmp/extra.yaml"].line == 2


def test_pip_lines_are_kept() -> None:
    command = read_one("uv pip install 'sglang[all]==0.5.17' sgl-deep-gemm==0.1.4.post1\nsglang serve --model-path /w")
    assert command.installed == {"sglang": "0.5.17", "sgl-deep-gemm": "0.1.4.post1"}


def test_compose() -> None:
    command = read_one(
        """\
        x-env: &env
          VLLM_A: "1"
        services:
          proxy: {image: "nginx:1"}
          glm:
            image: vllm/vllm-openai:${TAG:-v0.33.0}
            environment:
              <<: *env
              VLLM_B: "$${KEPT}"
            command: >-
              zai-org/GLM-5-FP8 -tp ${TP:-8}
              --hf-overrides '{"index_topk_freq": 4}'
            deploy: {resources: {reservations: {devices: [{driver: nvidia, device_ids: ["0", "1"]}]}}}
        """,
        "compose.yaml",
    )
    assert argv(command) == ["zai-org/GLM-5-FP8", "-tp", "8", "--hf-overrides", '{"index_topk_freq": 4}']
    assert {n: w.text for n, w in command.env.items()} == {"VLLM_A": "1", "VLLM_B": "${KEPT}"}
    assert command.image is not None
    assert (command.image.text, command.gpus) == ("vllm/vllm-openai:v0.33.0", "device=0,1")


def test_kubernetes() -> None:
    command = read_one(
        """\
        apiVersion: apps/v1
        kind: Deployment
        spec:
          template:
            spec:
              containers:
                - name: glm
                  image: lmsysorg/sglang:v0.5.23
                  env: [{name: MODEL, value: zai-org/GLM-5-FP8}, {name: TOKEN, valueFrom: {secretKeyRef: {}}}]
                  command: [sh, -c]
                  args:
                    - |
                      set -e
                      python3 -m sglang.launch_server --model-path $(MODEL) \\
                        --tp 8
                  resources: {limits: {nvidia.com/gpu: 8}}
        """,
        "pod.yaml",
    )
    assert argv(command) == ["--model-path", "zai-org/GLM-5-FP8", "--tp", "8"]
    assert command.gpus == "8"
    assert command.argv[0].line == 14


def test_what_a_manifest_does_not_say_is_a_hole() -> None:
    command = read_one(
        """\
        kind: LeaderWorkerSet
        spec:
          containers:
            - image: lmsysorg/sglang:v0.5.23
              command: [python3, -m, sglang.launch_server, --nnodes, $(LWS_GROUP_SIZE), --tp, $$(KEPT)]
        """,
        "lws.yaml",
    )
    assert command.argv[1].holes == ("LWS_GROUP_SIZE",)
    assert (command.argv[3].text, command.argv[3].holes) == ("$(KEPT)", ())


def test_a_page_gives_its_shell_blocks_only() -> None:
    text = "Don't run `vllm serve` yet.\n\n```bash\nvllm serve /w -tp 8\n```\n\n```python\nvllm serve\n```\n"
    commands, _ = read_text(text, "page.md")
    assert [(argv(c), c.line) for c in commands] == [(["/w", "-tp", "8"], 4)]


def test_words_that_a_shell_has_split() -> None:
    commands, _ = read_words(["vllm", "serve", "/w w", "-tp", "8"])
    assert argv(commands[0]) == ["/w w", "-tp", "8"]


@pytest.mark.parametrize(
    ("text", "name", "line", "part"),
    [
        ("vllm serve /w\nvllm serve '/x", "a.sh", 2, "never closed"),
        ('a="$(b', "a.sh", 1, "never closed"),
        ("cat <<E\nx\n", "a.sh", 1, "never ends"),
        ("services:\n  a: [", "a.yaml", 2, "not valid YAML"),
        ("a: " + "[" * 200, "a.yaml", 1, "nested deeper"),
        ("a: &a [1]\nb: [" + "*a, " * 300 + "]", "a.yaml", 2, "aliases"),
        ("docker run -e A=b", "a.sh", 1, "no image"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, name: str, line: int, part: str) -> None:
    _, problems = read_text(text, name)
    assert any(p.line == line and part in p.message and p.file == name for p in problems), problems


plain = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12)


@given(st.lists(plain, max_size=8))
@settings(max_examples=150, deadline=None)
def test_quoting_makes_the_round_trip(words: list[str]) -> None:
    """What shlex quotes is read back word for word, whatever is in it."""
    line = " ".join(["vllm", "serve", *map(shlex.quote, words)])
    assert argv(read_text(line, "a.sh")[0][0]) == words


@given(st.lists(plain, max_size=6))
@settings(max_examples=60, deadline=None)
def test_double_quotes_make_the_round_trip(words: list[str]) -> None:
    quoted = [f'"{word.translate({ord(c): chr(92) + c for c in chr(92) + chr(34) + "$`"})}"' for word in words]
    line = " ".join(["vllm", "serve", *quoted])
    assert argv(read_text(line, "a.sh")[0][0]) == words


hostile = st.text(alphabet=string.ascii_letters + "'\"\\$`{}()[]<>|&;#=- \n\t:*!@~-", max_size=120)


@given(hostile, st.sampled_from(["a.sh", "a.yaml", "-", "a.py", "a.ps1", "a.fish", "a.bat", "a.container"]))
@example("${", "a.sh")
@example("$(${${", "a.sh")
@example("A=(", "a.sh")
@example("vllm serve <<", "a.sh")
@example("\\", "a.sh")
@example("? a\n: b", "a.yaml")
@example("from vllm import LLM\nLLM(", "-")
@example("{{" * 900, "a.sh")
@example("[Container]\nImage=\nExec='", "a.container")
@example("run: [[vllm serve], {a: vllm serve}]", "a.yaml")
@example('{"apiVersion": [', "a.json")
@example("<<: [*a]", "a.yaml")
@settings(max_examples=400, deadline=None)
def test_no_text_raises(text: str, name: str) -> None:
    commands, problems = read_text(text, name)
    assert isinstance(commands, list)
    assert all(p.file for p in problems)


@given(st.binary(max_size=80))
@settings(max_examples=100, deadline=None)
def test_no_bytes_raise(raw: bytes) -> None:
    read_text(raw.decode("utf-8", errors="replace"), "a.yaml")


@given(st.lists(plain, min_size=1, max_size=6))
@settings(max_examples=100, deadline=None)
def test_no_words_raise(words: list[str]) -> None:
    find_start(words_of(words))
    read_words(words)
