"""Scripts inside other programs' YAML: only what a shell runs counts, and only one image says the release."""

from __future__ import annotations

import pytest

from matrix.checking.sources import read_text
from tests.pace import within_cpu_s


@pytest.mark.parametrize(
    "text",
    [
        "name: x\ndescription: then run vllm serve /w -tp 8\nrun: echo no\n",
        "kind: ConfigMap\napiVersion: v1\nmetadata: {annotations: {note: vllm serve /w}}\n",
        "steps:\n- name: vllm serve /w\n  uses: x/y\n",
    ],
)
def test_a_text_about_an_engine_starts_none(text: str) -> None:
    assert read_text(text, "x.yaml") == ([], [])


def test_variables_live_on_from_one_entry_of_a_list_to_the_next() -> None:
    text = "build:\n  script:\n    - TP=8\n    - pip install vllm==0.33.0\n    - vllm serve /w -tp $TP\n"
    ((command,), _) = read_text(text, "ci.yml")
    assert [w.text for w in command.argv] == ["/w", "-tp", "8"]
    assert command.installed == {"vllm": "0.33.0"}


def test_of_two_images_none_is_the_engines() -> None:
    text = "a: {image: 'vllm/vllm-openai:v0.33.0'}\nb: {image: 'vllm/vllm-openai:v0.29.0', run: vllm serve /w -tp 8}\n"
    ((command,), _) = read_text(text, "x.yaml")
    assert command.image is None


@pytest.mark.parametrize(
    ("value", "gpus"), [("H200:8", "8"), ("{H200: 8}", "8"), ("H200", ""), ("{H200: 8, B200: 4}", ""), ("8", "")]
)
def test_how_many_gpus_a_task_asks_for(value: str, gpus: str) -> None:
    ((command,), _) = read_text(f"resources:\n  accelerators: {value}\nrun: vllm serve /w -tp 8\n", "x.yaml")
    assert command.gpus == gpus


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"scripts": {"serve": "vllm serve /w -tp 8"}}', "package.json"),
        (
            '{\n  // of an editor\n  "tasks": [{"command": "vllm", "args": ["serve", "/w", "-tp", "8"]}]\n}\n',
            "tasks.json",
        ),
        ('{"apps": [{"script": "vllm", "args": "serve /w -tp 8"}]}', "pm2.json"),
        ("vars: {TP: 8}\ntasks: {a: {cmds: ['vllm serve /w -tp {{.TP}}']}}\n", "Taskfile.yml"),
        ("- vars: {tp: 8}\n  tasks: [{shell: 'vllm serve /w -tp {{ tp }}'}]\n", "site.yml"),
        ('[tasks]\n# a = "vllm serve /no"\nserve = "vllm serve /w -tp 8"\n', "pixi.toml"),
        ('[tasks]\nserve = { cmd = "vllm serve /w -tp 8" }\n', "pyproject.toml"),
        ("runcmd:\n- [vllm, serve, /w, -tp, '8']\n", "user-data.yaml"),
        ("cat > a.yml <<'E'\nservices:\n  a:\n    image: vllm/vllm-openai:v1\n    command: /w -tp 8\nE\n", "up.sh"),
        (
            "kubectl apply -f - <<E\nkind: Pod\nspec:\n  containers:\n  - image: a/vllm\n    args: [/w, -tp, '8']\nE\n",
            "a",
        ),
        (
            '{"Image": "vllm/vllm-openai", "Environment": {"SM_VLLM_MODEL": "/w", "SM_VLLM_A": "false"}}',
            "sagemaker.json",
        ),
    ],
)
def test_what_other_programs_start(text: str, name: str) -> None:
    (commands, problems) = read_text(text, name)
    assert not problems
    (command,) = commands
    wanted = ["--model", "/w"] if name.startswith("sage") else ["/w", "-tp", "8"]
    assert [word.text for word in command.argv] == wanted


def test_a_manifest_within_a_script_keeps_the_scripts_lines() -> None:
    text = (
        "x=1\nkubectl apply -f - <<E\nkind: Pod\nspec:\n  containers:\n  - image: vllm/vllm-openai\n    args: [/w]\nE\n"
    )
    ((command,), _) = read_text(text, "up.sh")
    assert command.line == 7


@pytest.mark.parametrize("name", ["a", "a.toml", "a.tf", "Makefile", "a.json"])
@pytest.mark.parametrize(
    "text",
    ["\n" * 300_000, "#\n" * 150_000, "{" + "\n" * 300_000, 'a = "x\n' * 50_000, "x:\n" + "\t\n" * 100_000],
    ids=["lines", "comments", "brace", "quotes", "tabs"],
)
def test_which_form_a_text_has_is_told_in_time(text: str, name: str) -> None:
    with within_cpu_s(5):
        read_text(text, name)
