"""`docker run` words -> image, environment, GPUs, and the words that the container starts."""

from __future__ import annotations

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
                gpus=gpus,
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
    return ContainerLine(entrypoint=entrypoint, env=env, gpus=gpus)


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


def note_container(made: ContainerLine, program: str, line: int) -> tuple[Circumstance, ...]:
    """Note what a `docker run` line lacks: GPUs, shared memory; and options that are none of docker's, perhaps."""
    if program not in CONTAINERS or made.open:
        return ()
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
