"""What stands around an engine's start: variables of the shell, scripts and files beside it, programs in front."""

from __future__ import annotations

import pytest

from matrix.checking.sources import read_text
from tests.matrix.checking.test_readers import argv, read_one


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (': "${TP:=8}"\nvllm serve /w -tp $TP', ["/w", "-tp", "8"]),
        ('TP=4\n: "${TP:=8}"\nvllm serve /w -tp $TP', ["/w", "-tp", "4"]),
        ("read -r -d '' ARGS <<'EOF'\n-tp 8\nEOF\nvllm serve /w $ARGS", ["/w", "-tp", "8"]),
        ("N=2\nread -r -d '' ARGS <<EOF\n-tp $N\nEOF\nvllm serve /w $ARGS", ["/w", "-tp", "2"]),
        ("ARGS=$(cat <<'EOF'\n-tp 8\nEOF\n)\nvllm serve /w $ARGS", ["/w", "-tp", "8"]),
        ("for tp in 8; do vllm serve /w -tp $tp; done", ["/w", "-tp", "8"]),
        ("tp=3\nfor tp in 4 8; do vllm serve /w -tp $tp; done", ["/w", "-tp", "$tp"]),
        ("tp=3\nread tp\nvllm serve /w -tp $tp", ["/w", "-tp", "$tp"]),
    ],
)
def test_a_variable_is_what_the_shell_sets_it_to(text: str, words: list[str]) -> None:
    assert argv(read_one(text)) == words


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("export A=1\nenv -i B=2 vllm serve /w", {"B"}),
        ("export A=1\nC=3 exec env --ignore-environment B=2 vllm serve /w", {"B"}),
        ("export A=1\nenv B=2 vllm serve /w", {"A", "B"}),
    ],
)
def test_env_i_keeps_only_what_it_sets_itself(line: str, names: set[str]) -> None:
    assert set(read_one(line).env) == names


def test_templates_of_compose_are_one_word_each() -> None:
    text = "services:\n  a:\n    image: vllm/vllm-openai:{{ t }}\n    command: --model {{ m }} -tp {{ tp }} -dcp 3\n"
    command = read_one(text, "docker-compose.yml")
    assert [w.known for w in command.argv] == [True, False, True, False, True, True]


@pytest.mark.parametrize(
    "line",
    [
        "./serve.sh /w",
        "bash -e serve.sh /w",
        "exec ./serve.sh /w",
        "docker run -v .:/a vllm/vllm-openai bash serve.sh /w",
    ],
)
def test_a_script_beside_is_followed_with_its_arguments(line: str) -> None:
    ((command,), _) = read_text(line, "run.sh", lambda path: 'vllm serve "$1" "$@"' if "serve.sh" in path else None)
    assert argv(command) == ["/w", "/w"]


def test_a_script_that_starts_itself_is_read_once() -> None:
    ((command,), _) = read_text("./a.sh\n./a.sh\n", "run.sh", lambda path: "vllm serve /w\n./a.sh\n./a.sh\n")
    assert argv(command) == ["/w"]


def test_a_configmaps_script_is_what_the_container_runs() -> None:
    text = """
    kind: ConfigMap
    data:
      run.sh: exec vllm serve /w
    ---
    kind: Pod
    spec:
      containers:
      - image: vllm/vllm-openai:v0.33.0
        command: [bash, /scripts/run.sh]
    """
    command = read_one(text, "x.yaml")
    assert argv(command) == ["/w"]
    assert command.image is not None


def test_a_file_that_export_reads_is_exported() -> None:
    ((command,), _) = read_text(
        "export $(grep -v '^#' .env | xargs)\nvllm serve /w", "a.sh", lambda path: "A=b\n" if path == ".env" else None
    )
    assert command.env["A"].text == "b"


@pytest.mark.parametrize(
    "line",
    [
        "systemd-run --unit=glm --setenv=A=b vllm serve /w",
        "systemd-run -E A=b vllm serve /w",
        "docker exec -it -e A=b box vllm serve /w",
        "docker exec --env A=b box bash -c 'vllm serve /w'",
        "mpirun -n 8 -x A=b -x PATH trtllm-llmapi-launch trtllm-serve /w",
        "srun -N1 --export=ALL,A=b vllm serve /w",
        "runuser -u llm -- env A=b vllm serve /w",
    ],
)
def test_what_a_program_in_front_sets_is_the_engines(line: str) -> None:
    assert read_one(line).env["A"].text == "b"


def test_a_key_that_stands_twice_is_a_problem_with_its_line() -> None:
    text = "services:\n  a:\n    image: vllm/vllm-openai:v1\n    command: /w\n    command: /v\n"
    _, problems = read_text(text, "c.yaml")
    assert [(p.line, p.message) for p in problems] == [(5, "duplicate key 'command', first on line 4")]
