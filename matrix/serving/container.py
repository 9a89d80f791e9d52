"""A plan in a container: the words of `docker run`, and a compose file. It listens on 0.0.0.0 inside, and is published
on 127.0.0.1 alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from matrix.checking.of_plan import tell_clients
from matrix.errors import ConfigError, Problem
from matrix.output import docker_words as container
from matrix.output import writable
from matrix.output.script import format_comment, group_words, quote_line, quote_word, to_yaml
from matrix.parsers.faults import tell_in_comments
from matrix.planning.images import explain_tag_alone
from matrix.planning.plan import Plan, fill_placeholders
from matrix.serving.places import ServingPlaces

WORKDIR: Final = "/glm-matrix"
MODEL: Final = "${MODEL:?set it to the checkpoint directory}"
CONFIG: Final = f"{WORKDIR}/serve_config.yaml"
ULIMITS: Final = ("memlock=-1", "stack=67108864")
# Every folder that the model's files lie in: an overlay and the Hugging Face cache hold links.
MOUNTS: Final = """MOUNTS=()
while IFS= read -r FOLDER; do MOUNTS+=(-v "$FOLDER:$FOLDER:ro"); done < <(
  { printf '%s\\n' "$MODEL"
    find "$MODEL/" -maxdepth 1 -type l -exec sh -c 'dirname -- "$(readlink -f -- "$1")"' _ {} \\; ; } | sort -u)"""

HUB_HERE: Final = "${HF_HUB_CACHE:-${HF_HOME:-$HOME/.cache/huggingface}/hub}"
HUB_OF_COMPOSE: Final = "${HF_HUB_CACHE:?set it to the folder that the draft was downloaded into}"


def require_image(plan: Plan) -> None:
    """Raise ConfigError where the plan cannot run in a container as it is."""
    release = plan.cell.release
    if release.image is None:
        message = f"no image of {release.id} is known; its own environment: glm-matrix show {plan.cell.id}"
        raise ConfigError([Problem("--docker", 0, "", message)])
    # docker run has no step in which a file of the image is read, patched and put back
    if plan.patches:
        message = f"{', '.join(plan.patch_names)} must be mounted over a file of the image: pytest does it"
        raise ConfigError([Problem("--docker", 0, "", message)])


def pull_image(plan: Plan, places: ServingPlaces) -> Iterator[str]:
    """Pull the image by its digest."""
    release, image = plan.cell.release, _write_image(plan, places)
    if not release.image_digest:
        yield format_comment(f"{release.image} is a tag, which can be moved: the image is named by what was recorded.")
    # inspect first: a host without network, or an image that was built here, needs no registry
    yield f"docker image inspect {image} >/dev/null 2>&1 || docker pull {image}"
    yield f"docker image inspect --format '{{{{.Id}}}} {{{{.RepoDigests}}}}' {image}"


def _write_image(plan: Plan, places: ServingPlaces) -> str:
    """Write the image as a word of a script: by content, or the variable that must bring it."""
    known = places.image_of(plan)
    return quote_word(known) if known else '"$IMAGE"'


def run_groups(plan: Plan, places: ServingPlaces) -> Iterator[str]:
    """Lines of the `docker run` command, quoted, without line ends."""
    launcher, port = plan.values("launcher"), plan.cell.engine.default_port
    program, words = split_program(plan)
    # --init: engines leave workers behind that nobody reaps as process 1
    yield "docker run --rm --init"
    yield '--name "$NAME_OF_CONTAINER"'
    if plan.cell.rig.gpus:
        yield f"--gpus {plan.cell.rig.gpus}"
    yield from (" ".join(map(quote_word, group)) for group in writable.list_docker_words(plan))
    yield _format_shared_memory(launcher)
    yield from (f"--ulimit {quote_word(str(limit))}" for limit in launcher.get("ulimits") or ULIMITS)
    yield f'-p 127.0.0.1:"$PORT":{port}'
    yield '"${MOUNTS[@]}"'
    # read-only: an engine that may download would fetch another commit than the one that was named
    if plan.settings.get("draft"):  # in the hub's cache, by its name
        yield f'-v "{HUB_HERE}":{writable.HUB}:ro'
    yield f"-v {quote_word(f'{cache_volume(plan)}:{writable.JIT}')}"
    yield from (f"-v {quote_word(str(volume))}" for volume in launcher.get("volumes") or ())
    if plan.values("serve_config"):
        yield f'-v "$PWD/serve_config.yaml":{CONFIG}:ro -w {WORKDIR}'
    yield from (f"-e {quote_word(f'{name}={value}')}" for name, value in environment_of(plan).items())
    if program:
        yield f"--entrypoint {quote_word(program)}"
    yield _write_image(plan, places)
    yield from (" ".join(map(quote_word, group)) for group in group_words(words))


def split_program(plan: Plan) -> tuple[str, list[str]]:
    """Return the entry point (empty: the image's own is the server) and its arguments.

    Inside its own network the engine must listen on all interfaces to be published.
    """
    launcher, engine = plan.values("launcher"), plan.cell.engine
    # the container's own network: loopback inside it cannot be published
    known = {"host": "0.0.0.0", "port": str(engine.default_port)}  # noqa: S104  published on loopback alone
    words = [fill_placeholders(w, known) for w in container.server_command(plan)]
    entrypoint = str(launcher.get("entrypoint") or "")
    if launcher.get("shell"):
        # exec: without it the shell is process 1 of the engine, and a stop reaches the shell alone
        return entrypoint or "/bin/bash", [*map(str, launcher["shell"]), quote_line(["exec", *words])]
    if entrypoint or launcher.get("model_argument"):
        return entrypoint, words
    return words[0], words[1:]


def environment_of(plan: Plan) -> dict[str, str]:
    """Return the plan's variables, and those that lead what the engine writes to where it may write."""
    caches = {name: f"{writable.JIT}/{folder}" for name, folder in writable.JIT_CACHES.items()}
    # the plan last: a variable that a recipe sets is part of what is tested, and wins over our paths
    return {**writable.name_homes(plan.cell.release), **caches, **writable.name_hub(plan), **plan.env}


def download_draft(plan: Plan) -> str:
    """Return the words that put the plan's draft into the hub's cache, at its commit where one is known."""
    revision = plan.settings.get("draft_revision")
    named = f" --revision {quote_word(str(revision))}" if revision else ""
    return f"download {quote_word(str(plan.settings['draft']))}{named}"


def cache_volume(plan: Plan) -> str:
    """Return the named volume for compiled kernels: right only for one release and SM."""
    # by release and SM: kernels of another one would be loaded without a complaint where a cache trusts its folder
    return f"glm-matrix-jit-{plan.cell.release.id}-sm{plan.cell.rig.sm}"


def _format_shared_memory(launcher: Mapping[str, Any]) -> str:
    size = launcher.get("shm_size")
    # Docker's 64 MB of shared memory end NCCL's ranks: the host's is the default unless a recipe sizes it
    return f"--shm-size {quote_word(str(size))}" if size and launcher.get("ipc") != "host" else "--ipc host"


def render_compose(plan: Plan, places: ServingPlaces = ServingPlaces()) -> str:  # noqa: B008  frozen
    """Render a compose file. MODEL must be set: the checkpoint directory, or the overlay that the head names; IMAGE,
    too, where only a tag is known.

    Raises:
        ConfigError: the release has no image, or a patch would have to go into it.
    """
    require_image(plan)
    program, words = split_program(plan)
    port, launcher = plan.cell.engine.default_port, plan.values("launcher")
    service: dict[str, Any] = {
        "image": places.image_of(plan) or f"${{IMAGE:?{explain_tag_alone(plan.cell.release)}; then print this again}}",
        "init": True,
        **({"entrypoint": [_escape_for_compose(program)]} if program else {}),
        "command": [_escape_for_compose(word) for word in words],
        "environment": {name: _escape_for_compose(value) for name, value in environment_of(plan).items()},
        "ports": [f"127.0.0.1:${{PORT:-{port}}}:{port}"],
        "volumes": [
            {"type": "bind", "source": MODEL, "target": MODEL, "read_only": True},
            f"jit:{writable.JIT}",
            *_list_hub_mounts(plan),
            # compose expands variables and no tilde
            *(str(v).replace("~/", "${HOME}/", 1) for v in launcher.get("volumes") or ()),
        ],
        **_compose_root(plan),
        "ipc": "host",
        "ulimits": {
            name: int(value) for name, _, value in (u.partition("=") for u in launcher.get("ulimits") or ULIMITS)
        },
        "healthcheck": _healthcheck(plan),
    }
    if plan.values("serve_config"):
        service |= {"working_dir": WORKDIR, "configs": [{"source": "serve_config", "target": CONFIG}]}
    if plan.cell.rig.gpus:
        devices = [{"driver": "nvidia", "count": plan.cell.rig.gpus, "capabilities": ["gpu"]}]
        service["deploy"] = {"resources": {"reservations": {"devices": devices}}}
    whole: dict[str, Any] = {"services": {"engine": service}, "volumes": {"jit": {"name": cache_volume(plan)}}}
    if tree := plan.values("serve_config"):
        # inside the compose file, so that one file is all there is to copy
        whole["configs"] = {"serve_config": {"content": to_yaml(tree).replace("$", "$$")}}
    return f"{_compose_head(plan)}{to_yaml(whole)}"


def refuse_tag_alone(script: str, plan: Plan, places: ServingPlaces) -> str:
    """Return a source's own script, which ends before its launch where it would start whatever a tag is today."""
    tag = plan.cell.release.image
    if not tag or plan.launcher_kind != "docker" or plan.cell.release.image_digest:
        return script
    if known := places.image_of(plan):
        said = format_comment(f"image       its tag {tag} is {known}, as recorded on this host")
        by_content = script.replace(f" {quote_word(tag)}", f" {quote_word(known)}")
        return by_content.replace("\nset -euo pipefail\n", f"\n{said}\nset -euo pipefail\n", 1)
    why = quote_word(explain_tag_alone(plan.cell.release))
    return script.replace("\nset -euo pipefail\n", f"\nset -euo pipefail\necho {why} >&2; exit 1\n", 1)


def _list_hub_mounts(plan: Plan) -> list[dict[str, Any]]:
    if not plan.settings.get("draft"):
        return []
    return [{"type": "bind", "source": HUB_OF_COMPOSE, "target": writable.HUB, "read_only": True}]


def _compose_root(plan: Plan) -> dict[str, Any]:
    if plan.cell.release.writable_root:
        return {}
    places = writable.list_tmpfs(plan)
    return {"read_only": True, "tmpfs": [f"{path}:{options}" for path, options in places.items()]}


def _escape_for_compose(word: str) -> str:
    """Escape a word for compose, which expands `$`; the model's path becomes its variable."""
    return fill_placeholders(word.replace("$", "$$"), {"model": MODEL})


def _healthcheck(plan: Plan) -> dict[str, Any]:
    engine = plan.cell.engine
    address = f"http://127.0.0.1:{engine.default_port}{engine.health_path}"
    # The Docker client hands its own proxies into every container, and urllib would send even 127.0.0.1 there.
    probe = f"import urllib.request as r; r.build_opener(r.ProxyHandler({{}})).open('{address}', timeout=5)"
    # python3 rather than curl, which slim images do not have; an hour of start, since a load of 700 GB is no failure
    return {"test": ["CMD", "python3", "-c", probe], "interval": "10s", "timeout": "10s", "start_period": "3600s"}


def _compose_head(plan: Plan) -> str:
    lines = [
        format_comment(f"cell        {plan.cell.id}"),
        f"# fingerprint {plan.fingerprint}",
        *tell_in_comments(plan),
        *tell_clients(plan),
        format_comment(f"root        {writable.explain_root(plan.cell.release)}"),
        "# start       MODEL=/path/to/checkpoint docker compose --file THIS_FILE up",
        "# links       a directory of links (an overlay, the Hugging Face cache) needs its targets mounted as well",
    ]
    if plan.values("config") or plan.values("tokenizer_config"):
        lines.append("# MODEL       must be the overlay: glm-matrix show CELL --only launch prints how it is made")
    if plan.settings.get("draft"):
        lines.append(
            format_comment(f"draft       HF_HUB_CACHE=/path/to/hub hf {download_draft(plan)}; set it for up, too")
        )
    return "\n".join(lines) + "\n"
