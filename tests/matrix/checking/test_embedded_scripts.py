"""Scripts inside other programs' YAML: only what a shell runs counts, and only one image says the release."""

from __future__ import annotations

import pytest

from matrix.checking.sources import read_text


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
