"""A plan's container as words of a `docker run` line. The launcher that really starts one reads the same values.

Launcher keys are those listed at the top of recipes/common.yaml. `kind: docker` alone (no option) means that the
source named an image but printed no docker line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from matrix.planning.plan import Plan

# launcher key -> docker option that takes one value
VALUED = {"gpus": "--gpus", "ipc": "--ipc", "network": "--network", "name": "--name", "entrypoint": "--entrypoint"}
BARE = {"rm": "--rm", "detach": "-d", "privileged": "--privileged", "interactive": "-it"}
REPEATED = {"ports": "-p", "ulimits": "--ulimit", "volumes": "-v"}


def has_container(plan: Plan) -> bool:
    """Whether the plan says how its container is run."""
    launcher = plan.values("launcher")
    return launcher.get("kind") == "docker" and any(k in launcher for k in (*VALUED, *BARE, *REPEATED))


def docker_options(plan: Plan) -> Iterator[list[str]]:
    """`docker run` and its options, in groups that belong on one line, up to and with the image."""
    launcher = plan.values("launcher")
    yield ["docker", "run"]
    yield from ([flag] for key, flag in BARE.items() if launcher.get(key))
    yield from ([flag, str(launcher[key])] for key, flag in VALUED.items() if launcher.get(key))
    for key, flag in REPEATED.items():
        yield from ([flag, str(value)] for value in launcher.get(key) or ())
    yield from (["-e", f"{name}={value}"] for name, value in plan.env.items())
    yield [image_reference(plan)]


def image_reference(plan: Plan) -> str:
    """Return the image by digest where one is known, else by its published tag."""
    release = plan.cell.release
    if release.image is None:
        return ""
    return f"{release.image.rpartition(':')[0]}@{release.image_digest}" if release.image_digest else release.image


def server_command(plan: Plan) -> list[str]:
    """Return the command that runs in the container, after the image: the entry point may already be the server."""
    launcher: Mapping[str, Any] = plan.values("launcher")
    words = plan.arguments()
    if (flag := launcher.get("model_argument")) and words[:1] == ["{model}"]:
        return [flag, *words]  # the image's entry point is the server itself
    command = list(plan.cell.engine.command)
    if launcher.get("entrypoint") and not launcher.get("shell"):
        return [*command[1:], *words]  # the entry point is the program
    program = launcher.get("command")
    return [program, *command[1:], *words] if program and program != "bash" else [*command, *words]
