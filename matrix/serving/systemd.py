"""A plan as a systemd unit: restarted when it fails, stopped as a whole, on loopback."""

from __future__ import annotations

import re
from typing import Final

from matrix.checking.of_plan import tell_clients
from matrix.errors import ConfigError, Problem
from matrix.output import writable
from matrix.output.script import format_comment
from matrix.parsers.faults import tell_in_comments
from matrix.planning.images import explain_tag_alone
from matrix.planning.plan import Plan, fill_placeholders
from matrix.serving import container
from matrix.serving.places import ServingPlaces

VENVS: Final = "/opt/glm-matrix"
MODELS: Final = "/srv/models"
PLAIN: Final = re.compile(r"[\w./:=%@{}$,+-]+")  # words that need no quotes
START_S: Final = 5400  # 300 GB and cold kernels


def render_unit(plan: Plan, places: ServingPlaces) -> str:
    """Render the unit. Paths are absolute: edit the lines `Environment=MODEL=` and `ExecStart=` for your host.

    Raises:
        ConfigError: a container is needed and cannot be made, or only a tag of its image is known; a patch is needed,
            whose copy a unit cannot make.
    """
    if plan.values("launcher").get("kind") == "docker":
        container.require_image(plan)
        image = places.image_of(plan)
        if not image:  # a unit asks nobody: what its tag is at some later boot would be served
            raise ConfigError([Problem("--systemd", 0, plan.cell.id, explain_tag_alone(plan.cell.release))])
        return _render(plan, places, _docker_words(plan, image), {})
    if plan.values("launcher").get("kind") == "process":
        message = "this engine runs in the checkout itself: glm-matrix show CELL prints a script"
        raise ConfigError([Problem("--systemd", 0, "", message)])
    program, *rest = plan.cell.engine.command
    venv = places.venv_of(plan) or f"{VENVS}/{plan.cell.release.id}"
    environment = dict(plan.env)
    if plan.patches:
        # the patched tree in front, where the script's own section puts it: the unit makes none
        environment["PYTHONPATH"] = ":".join(f"{venv}.patched/{name}" for name in plan.patch_names)
    known = {"host": "127.0.0.1", "port": str(plan.cell.engine.default_port)}
    words = [f"{venv}/bin/{program}", *rest, *(fill_placeholders(w, known) for w in plan.arguments())]
    return _render(plan, places, words, environment)


def _docker_words(plan: Plan, image: str) -> list[str]:
    program, words = container.split_program(plan)
    port = plan.cell.engine.default_port
    env = [w for name, value in container.environment_of(plan).items() for w in ("-e", f"{name}={value}")]
    files = ["-v", f"{{etc}}/glm-matrix/serve_config.yaml:{container.CONFIG}:ro", "-w", container.WORKDIR]
    return [
        *("/usr/bin/docker", "run", "--rm", "--init", "--name", "{unit}", "--gpus", str(plan.cell.rig.gpus)),
        *(word for group in writable.list_docker_words(plan) for word in group),
        *("--ipc", "host", "--ulimit", "memlock=-1", "-p", f"127.0.0.1:{port}:{port}", "-v", "{model}:{model}:ro"),
        *("-v", f"{container.cache_volume(plan)}:{writable.JIT}"),
        *(("-v", f"{{hub}}:{writable.HUB}:ro") if plan.settings.get("draft") else ()),
        *(files if plan.values("serve_config") else ()),
        *env,
        *(("--entrypoint", program) if program else ()),
        image,
        *words,
    ]


def _render(plan: Plan, places: ServingPlaces, words: list[str], environment: dict[str, str]) -> str:
    model = places.model_of(plan) or f"{places.root or MODELS}/{plan.cell.checkpoint.id}"
    command = " \\\n  ".join(_quote_unit_word(word, dollars=True) for word in words)
    lines = [
        format_comment(f"cell        {plan.cell.id}"),
        f"# fingerprint {plan.fingerprint}",
        *tell_in_comments(plan),
        *tell_clients(plan),
        *_list_preparations(plan),
        *_tell_root(plan),
        "[Unit]",
        f"Description={_one_line(f'GLM-5: {plan.cell.release.id}, {plan.cell.checkpoint.id}')}",
        "After=network-online.target nvidia-persistenced.service",
        "",
        "[Service]",
        f"Environment={_quote_unit_word(f'MODEL={model}')}",
        *(f"Environment={_quote_unit_word(word)}" for word in _list_hub(plan, places)),
        *(f"Environment={_quote_unit_word(f'{name}={value}')}" for name, value in environment.items()),
        f"ExecStart={command}",
        "Restart=on-failure",
        "RestartSec=30",
        f"TimeoutStartSec={START_S}",
        "TimeoutStopSec=60",
        # the group: TP ranks that outlive their parent would keep the GPUs, and the restart would find no memory
        "KillMode=control-group",
        "LimitMEMLOCK=infinity",
        "LimitNOFILE=1048576",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def _list_hub(plan: Plan, places: ServingPlaces) -> list[str]:
    """Name the cache that holds a draft: a service has no home, and asks nobody for it."""
    if not plan.settings.get("draft"):
        return []
    # offline: a service that starts at boot must not depend on a download, nor take a newer draft
    return [f"HF_HUB_CACHE={places.root or MODELS}/hub", "HF_HUB_OFFLINE=1"]


def _list_preparations(plan: Plan) -> list[str]:
    """List what must be done once before the unit is started, as comments."""
    lines = ["# before      glm-matrix show CELL --only env,weights,patch > prepare.sh; VENV and MODEL as in this unit"]
    if plan.values("config") or plan.values("tokenizer_config"):
        lines.append("# MODEL       must be the overlay: the script's launch section prints how it is made")
    if plan.values("serve_config"):
        lines.append("# file        /etc/glm-matrix/serve_config.yaml: the script's launch section writes it")
    if plan.settings.get("draft"):
        lines.append(
            format_comment(f"draft       with the HF_HUB_CACHE of this unit: hf {container.download_draft(plan)}")
        )
    return lines


def _tell_root(plan: Plan) -> list[str]:
    inside = plan.values("launcher").get("kind") == "docker"
    return [format_comment(f"root        {writable.explain_root(plan.cell.release)}")] if inside else []


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("%", "%%")


def _quote_unit_word(word: str, *, dollars: bool = False) -> str:
    """Quote a word as systemd reads it. Specifiers (`%`) are doubled; so is `$`, where variables are expanded."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("%", "%%")
    # only ExecStart expands variables; Environment= takes a dollar as it is
    text = text.replace("$", "$$") if dollars else text
    whole = fill_placeholders(text, {"model": "${MODEL}", "unit": "%N", "etc": "%E", "hub": "${HF_HUB_CACHE}"})
    return whole if PLAIN.fullmatch(whole) else f'"{whole}"'
