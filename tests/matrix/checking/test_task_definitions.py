"""Task definitions of Nomad, ECS, CloudFormation and Terraform: their words, environment and GPUs."""

from __future__ import annotations

import json

import pytest

from matrix.checking.launchers import Command
from matrix.checking.sources import read_text

IMAGE = "vllm/vllm-openai:v0.33.0"
NOMAD = """
job "glm" {
  group "g" {
    task "vllm" {
      driver = "docker"
      env { VLLM_USE_DEEP_GEMM = "0" }
      config {
        image = "vllm/vllm-openai:v0.33.0"
        MORE
        args = ["/w", "-tp", "8"]
      }
      resources { device "nvidia/gpu" { count = 4 } }
    }
  }
}
"""
ECS = {
    "containerDefinitions": [
        {
            "image": IMAGE,
            "command": ["/w", "-tp", "8"],
            "environment": [{"name": "VLLM_USE_DEEP_GEMM", "value": "0"}],
            "resourceRequirements": [{"type": "GPU", "value": "4"}],
        }
    ]
}
FORMATION = """
Resources:
  Task:
    Properties:
      ContainerDefinitions:
        - Image: vllm/vllm-openai:v0.33.0
          Command: ["/w", "-tp", "8"]
          Environment: [{Name: VLLM_USE_DEEP_GEMM, Value: "0"}]
          ResourceRequirements: [{Type: GPU, Value: "4"}]
"""
TERRAFORM = """
resource "kubernetes_pod" "glm" {
  spec {
    container {
      image = "vllm/vllm-openai:v0.33.0"
      args  = ["/w", "-tp", "8"]
      env {
        name  = "VLLM_USE_DEEP_GEMM"
        value = "0"
      }
      resources { limits = { "nvidia.com/gpu" = 4 } }
    }
  }
}
"""


def read_one(text: str, name: str) -> Command:
    commands, problems = read_text(text, name)
    assert not problems
    assert len(commands) == 1
    return commands[0]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (NOMAD.replace("MORE", ""), "glm.nomad"),
        (json.dumps(ECS), "task.json"),
        (FORMATION, "stack.yaml"),
        (TERRAFORM, "main.tf"),
        ("x = jsonencode(" + json.dumps(ECS) + ")", "ecs.tf"),
    ],
    ids=["nomad", "ecs", "cloudformation", "terraform", "jsonencode"],
)
def test_a_task_is_read_with_its_environment_and_gpus(text: str, name: str) -> None:
    command = read_one(text, name)
    assert [w.text for w in command.argv] == ["/w", "-tp", "8"]
    assert command.image is not None
    assert (command.image.text, command.gpus) == (IMAGE, "4")
    assert command.env["VLLM_USE_DEEP_GEMM"].text == "0"


def test_nomads_command_stands_behind_the_images_entry_point() -> None:
    command = read_one(NOMAD.replace("MORE", 'command = "vllm"').replace('["/w"', '["serve", "/w"'), "glm.nomad")
    assert "entry_point_twice" in {noted.id for noted in command.circumstances}


def test_a_command_of_kubernetes_takes_the_entry_points_place() -> None:
    text = TERRAFORM.replace("args  = [", 'command = ["vllm", "serve"]\n      args  = [')
    assert "entry_point_twice" not in {noted.id for noted in read_one(text, "main.tf").circumstances}


@pytest.mark.parametrize(
    ("more", "noted"), [("", True), ('ipc_mode = "host"', False), ("shm_size = 68719476736", False)]
)
def test_little_shared_memory_is_noted(more: str, noted: bool) -> None:
    command = read_one(NOMAD.replace("MORE", more), "glm.nomad")
    assert ("container_with_little_shared_memory" in {n.id for n in command.circumstances}) is noted


def test_what_cloudformation_fills_in_is_a_hole() -> None:
    command = read_one(FORMATION.replace('"8"]', "!Ref Ranks]"), "stack.yaml")
    assert not command.argv[-1].known


@pytest.mark.parametrize("text", ['{"family": "x"}', "[]", '[{"image": "nginx", "command": ["-g"]}]'])
def test_json_that_starts_no_engine_starts_none(text: str) -> None:
    assert read_text(text, "x.json") == ([], [])
