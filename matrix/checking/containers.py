"""`docker run` words -> image, environment, GPUs, and the words that the container starts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from matrix.checking.launchers import CONTAINERS, Circumstance
from matrix.checking.variables import Word

# Options of `docker run` that take no value; every other option takes the next word, or what follows its `=`.
SWITCHES: Final = frozenset(
    [
        "-d",
        "--detach",
        "-i",
        "--interactive",
        "-t",
        "--tty",
        "-it",
        "-ti",
        "-dit",
        "-itd",
        "-id",
        "-di",
        "-td",
        "-P",
        "--publish-all",
        "--rm",
        "--privileged",
        "--init",
        "--read-only",
        "--oom-kill-disable",
        "--no-healthcheck",
        "--disable-content-trust",
        "--sig-proxy",
        "--help",
        "-q",
        "--quiet",
        "--use-api-socket",
        "--replace",
        "--env-host",
    ]
)


SIZE: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[kmgt]?)(?:i?b)?", re.IGNORECASE)
CDI: Final = "nvidia.com/gpu="
MOST_PORTS: Final = 100  # of a range
SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 -- looked for among mounts


@dataclass(frozen=True, kw_only=True)
class ContainerLine:
    """What a `docker run` line says; `command` are the words after the image, `entrypoint` replaces the image's."""

    image: Word | None = None
    entrypoint: Word | None = None
    command: tuple[Word, ...] = ()
    env: Mapping[str, Word] = field(default_factory=dict)
    gpus: str = ""
    env_files: tuple[Word, ...] = ()
    options: tuple[tuple[Word, str], ...] = ()  # every option before the image, with its value
    open: bool = False  # a word before the image is not known: it may hold any option


def read_docker_run(words: Sequence[Word], host: Mapping[str, Word]) -> ContainerLine:
    """Read the words behind `docker run`. `host`: the surrounding environment, for `-e NAME` without a value."""
    env: dict[str, Word] = {}
    gpus, entrypoint = "", None
    devices: list[str] = []
    files: tuple[Word, ...] = ()
    options: list[tuple[Word, str]] = []
    unknown = False
    at = 0
    while at < len(words):
        word = words[at]
        if not word.text.startswith("-") or word.text == "-":
            if not word.known and (not word.text.strip("$ ") or _names_image(words[at + 1 :])):
                # an unset variable: options, or nothing
                unknown = True
                at += 1
                continue
            return ContainerLine(
                image=word,
                entrypoint=entrypoint,
                command=tuple(words[at + 1 :]),
                env=env,
                gpus=gpus or _join_devices(devices),
                env_files=files,
                options=tuple(options),
                open=unknown,
            )
        name, equals, glued = word.text.partition("=")
        if word.text in SWITCHES or (equals and name in SWITCHES):
            options.append((Word(name, word.line, word.holes), glued))
            at += 1
            continue
        if (
            not equals
            and name[:2] in ("-e", "-v", "-p", "-w", "-u", "-m", "-h", "-l")
            and len(name) > 2
            and name[1] != "-"
        ):
            name, glued, equals = name[:2], word.text[2:], "="
        value = Word(glued, word.line, word.holes) if equals else words[at + 1] if at + 1 < len(words) else None
        at += 1 if equals else 2
        if value is None:
            break
        options.append((Word(name, word.line, word.holes), value.text))
        if name in ("-e", "--env"):
            _set(env, value, host)
        elif name == "--env-file":
            files = (*files, value)
        elif name == "--entrypoint":
            entrypoint = value
        elif name == "--gpus":
            gpus = value.text.strip("\"'")
        elif name == "--device" and value.text.startswith(CDI):
            devices.append(value.text.removeprefix(CDI))
    return ContainerLine(entrypoint=entrypoint, env=env, gpus=gpus)


def _join_devices(listed: Sequence[str]) -> str:
    """Return devices of CDI (`nvidia.com/gpu=0`, one option each) as `--gpus` lists them; "" where all are given."""
    return f"device={','.join(listed)}" if listed and "all" not in listed else ""


def _names_image(words: Sequence[Word]) -> bool:
    """Whether an engine's image stands further on, so that a variable before it is none: `docker run $MORE a/b:c`."""
    return any(w.known and "/" in w.text and ":" in w.text and image_engine(w.text) for w in words)


def _set(env: dict[str, Word], value: Word, host: Mapping[str, Word]) -> None:
    name, equals, text = value.text.partition("=")
    # `-e NAME` takes the host's value: where the text does not assign it, it stays a hole and nothing is judged by it
    env[name] = Word(text, value.line, value.holes) if equals else host.get(name, Word(f"${name}", value.line, (name,)))


def image_engine(image: str) -> str:
    """Return the engine that an image contains, by the image's name; "" if the name does not show it."""
    # without the digest, whose hex digits must not be searched for names
    name = image.split("@", maxsplit=1)[0].lower()
    for mark, engine in (
        ("sglang", "sglang"),
        ("tensorrt-llm", "trtllm"),
        ("trtllm", "trtllm"),
        ("vllm", "vllm"),
        ("llama.cpp", "llamacpp"),
    ):
        if mark in name:
            return engine
    return ""


def entry_point_of(image: str) -> str:
    """Return the engine that an official image starts by itself, its words being arguments; "" where it starts none."""
    name = image.split("@", maxsplit=1)[0].rpartition("/")[2].partition(":")[0].lower()
    tag = image.rpartition(":")[2]
    if "vllm-openai" in name:
        return "vllm serve"
    return "llama-server" if name == "llama.cpp" and tag.startswith("server") else ""


def note_container(made: ContainerLine, program: str, line: int) -> tuple[Circumstance, ...]:
    """Note what a `docker run` line lacks: GPUs, shared memory; and options that are none of docker's, perhaps."""
    if program not in CONTAINERS or made.open:
        return ()
    subject = f"{program} run"
    values = [(name.text, value) for name, value in made.options]
    mounted = [value for name, value in values if name in ("-v", "--volume", "--mount", "--tmpfs")]
    network = next((value for name, value in values if name in ("--network", "--net")), "")
    return (
        *_note_lacking(made, program, line),
        *note_network([v for n, v in values if n in ("-p", "--publish")], network, subject, line),
        *note_mounts([read_target(text) for text in mounted], subject, line),
        *note_memory(next((v for n, v in values if n in ("-m", "--memory")), ""), subject, line),
    )


def note_network(published: Sequence[str], network: str, subject: str, line: int) -> tuple[Circumstance, ...]:
    """Note the ports of the container that are published; nothing where it shares the host's network."""
    ports = [port for text in published for port in _list_ports(text)]
    hosts = [found for text in published if (found := _read_host_port(text))]
    if not ports or network == "host" or any("$" in text for text in published):
        return ()
    return (
        Circumstance(
            id="container_network",
            subject=subject,
            line=line,
            facts={"ports": ", ".join(map(str, ports)), "hosts": ", ".join(hosts)},
        ),
    )


def _read_host_port(text: str) -> str:
    """`127.0.0.1:8000:8000/tcp` -> the host's side; "" where docker chooses one."""
    parts = text.partition("/")[0].split(":")
    return parts[-2] if len(parts) > 1 and parts[-2].isdigit() else ""


def _list_ports(text: str) -> list[int]:
    """`127.0.0.1:8000-8003:8000-8003/tcp` -> the container's side: 8000 to 8003."""
    first, _, last = text.rsplit(":", 1)[-1].partition("/")[0].partition("-")
    if not first.isdigit() or (last and not last.isdigit()):
        return []
    return list(range(int(first), min(int(last or first), int(first) + MOST_PORTS) + 1))


def note_mounts(targets: Sequence[str], subject: str, line: int) -> tuple[Circumstance, ...]:
    """Note the folders of the container that are mounted; nothing where one of them is not known."""
    if any("$" in target for target in targets):
        return ()
    return (Circumstance(id="container_mounts", subject=subject, line=line, facts={"targets": "\n".join(targets)}),)


def read_target(text: str) -> str:
    """`/data:/models:ro`, `type=bind,source=/data,target=/models` -> the folder inside."""
    named = re.search(r"(?:^|,)(?:target|destination|dst)=([^,]+)", text)
    if named is not None:
        return named[1]
    parts = text.split(":")
    return parts[1] if len(parts) > 1 else parts[0]


def note_memory(text: str, subject: str, line: int) -> tuple[Circumstance, ...]:
    """Note the main memory that the container may have, in bytes."""
    size = read_size(text)
    if not size:
        return ()
    return (Circumstance(id="container_memory", subject=f"{subject}, {text}", line=line, facts={"bytes": str(size)}),)


def read_size(text: str) -> int:
    """`64g`, `64Gi`, `64GiB` -> bytes, by 1024 (64G of Kubernetes is 7 % less); 0 for what is no size."""
    found = SIZE.fullmatch(text.strip())
    return int(float(found["number"]) * 1024 ** " kmgt".index(found["unit"].lower() or " ")) if found else 0


def _note_lacking(made: ContainerLine, program: str, line: int) -> tuple[Circumstance, ...]:
    given = {name.text for name, _ in made.options}
    mounts = " ".join(value for name, value in made.options if name.text in ("-v", "--volume", "--mount", "--tmpfs"))
    devices = " ".join(value for name, value in made.options if name.text in ("--device", "--runtime", "--gpus"))
    found = [
        Circumstance(id="option_before_the_image", subject=name.text, line=name.line, facts={"option": name.text})
        for name, _ in made.options
        if name.text.startswith("--") and name.known
    ]
    if "--gpus" not in given and not any(mark in devices for mark in ("nvidia", "kfd", "dri", "$")):
        found.append(Circumstance(id="container_without_gpus", subject=f"{program} run", line=line))
    if not given & {"--ipc", "--shm-size"} and SHARED_MEMORY not in mounts and "$" not in mounts:
        found.append(Circumstance(id="container_with_little_shared_memory", subject=f"{program} run", line=line))
    return tuple(found)
