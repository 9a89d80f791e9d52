"""Python programs are parsed and never run: what they start, what nobody here knows, and what is no program of ours."""

from __future__ import annotations

import pytest

from matrix.checking.finding import LineJudgement
from matrix.checking.judge import CheckRequest, judge_command
from matrix.checking.launchers import Command
from matrix.checking.python_program import read_python
from matrix.checking.releases import parse_release
from matrix.checking.rigs import parse_rig
from matrix.checking.sources import read_text


def read_words_of(text: str) -> list[str]:
    commands, problems = read_python(text, "x.py")
    assert not problems
    return [" ".join(w.text for w in command.argv) for command in commands]


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("import vllm\nvllm.LLM('/w')", ["--model /w"]),
        ("from vllm.engine.arg_utils import AsyncEngineArgs as A\nA(model='/w')", []),  # a name that hides the class
        ("from vllm import LLM\nLLM('/w', **{'tensor_parallel_size': 8})", ["--model /w --tensor-parallel-size 8"]),
        (
            "from vllm import LLM\nLLM('/w', compilation_config=dict(mode=3))",
            ['--model /w --compilation-config {"mode": 3}'],
        ),
        (
            "from vllm import LLM\nLLM('/w', cudagraph_capture_sizes=[1, 2])",
            ["--model /w --cudagraph-capture-sizes 1 2"],
        ),
        ("import sglang\nsglang.Engine(model_path='/w', enable_dp_attention=False)", ["--model-path /w"]),
        ("from transformers import LLM\nLLM('/w')", []),
        ("class LLM: pass\nLLM('/w')", []),
        ("import subprocess\nCMD = ['vllm', 'serve', '/w']\nsubprocess.Popen(CMD)", ["/w"]),
        ("import subprocess\nsubprocess.run('vllm serve /w -tp 8', shell=True)", ["/w -tp 8"]),
        ("import subprocess\nsubprocess.run(['git', 'log'])", []),
    ],
)
def test_what_a_program_starts(text: str, argv: list[str]) -> None:
    assert read_words_of(text) == argv


@pytest.mark.parametrize(
    "text",
    [
        "from vllm import LLM\nLLM(path(), tensor_parallel_size=args.tp)",
        "from vllm import LLM\nTP = 2\nTP = 8\nLLM('/w', tensor_parallel_size=TP)",
        "from vllm import LLM\nLLM('/w', **options)",
        "import subprocess\nsubprocess.run(['vllm', 'serve', model, '-tp', str(n)])",
    ],
)
def test_a_value_that_the_program_computes_is_open(text: str) -> None:
    ((command,), _) = read_python(text, "x.py")
    assert any(word.holes for word in command.argv)
    assert judge(command).verdict != "wrong"


def judge(command: Command) -> LineJudgement:
    return judge_command(command, CheckRequest(release=parse_release("vllm==0.33.0"), host=parse_rig("sm90x8")))


@pytest.mark.parametrize("text", ["from vllm import LLM\nLLM(", "\0", "(" * 5000, "from vllm import LLM\n\tx"])
def test_what_is_no_python_is_one_problem(text: str) -> None:
    commands, problems = read_python(text, "x.py")
    assert not commands
    assert [p.file for p in problems] == ["x.py"]


def test_a_keyword_is_a_field_and_no_other_word_of_the_parser() -> None:
    ((command,), _) = read_python("import sglang\nsglang.Engine(model_path='/w', tp=8)", "x.py")
    judged = judge_command(command, CheckRequest(release=parse_release("sglang==0.5.23"), host=parse_rig("sm90x8")))
    (found,) = [f for f in judged.findings if f.id == "keyword_of_no_field"]
    assert found.remedy == "Write tp_size=..."
    ((command,), _) = read_python(
        "from vllm import LLM\nLLM('/w', tensor_parallel_size=8, enforce_eager=False)", "x.py"
    )
    assert not [f for f in judge(command).findings if f.id == "keyword_of_no_field"]


def test_a_template_in_a_manifest_is_open() -> None:
    text = (
        "spec:\n  containers:\n  - image: vllm/vllm-openai:v0.33.0\n    args: [--model, /w, -tp, '{{ .Values.tp }}']\n"
    )
    ((command,), _) = read_text(text, "pod.yaml")
    assert command.argv[-1].holes
    assert judge(command).verdict != "wrong"


@pytest.mark.parametrize(
    "call",
    [
        "client.containers.run('vllm/vllm-openai:v1', ['/w', '-tp', '8'], detach=True)",
        "client.containers.run('vllm/vllm-openai:v1', '/w -tp 8')",
        "docker.Container('glm', image='vllm/vllm-openai:v1', command=['/w', '-tp', '8'])",
        "KubernetesPodOperator(image='vllm/vllm-openai:v1', cmds=['vllm', 'serve'], arguments=['/w', '-tp', '8'])",
        "w = ['/w', '-tp', '8']\nDockerOperator(image='vllm/vllm-openai:v1', command=w, environment={'A': 'b'})",
    ],
)
def test_a_call_that_starts_an_engines_image(call: str) -> None:
    ((command,), _) = read_text(f"import docker\n{call}\n", "x.py")
    assert [word.text for word in command.argv] == ["/w", "-tp", "8"]
    assert command.image is not None
    assert "entry_point_twice" not in {noted.id for noted in command.circumstances}
    assert ("A" in command.env) == ("environment" in call)
