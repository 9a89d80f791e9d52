"""`docker run` words -> image, environment, GPUs, and the words that the container starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

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
    ]
)


@dataclass(frozen=True, kw_only=True)
class ContainerLine:
    """What a `docker run` line says; `command` are the words after the image, `entrypoint` replaces the image's."""

    image: Word | None = None
    entrypoint: Word | None = None
    command: tuple[Word, ...] = ()
    env: Mapping[str, Word] = field(default_factory=dict)
    gpus: str = ""
    env_files: tuple[Word, ...] = ()


def read_docker_run(words: Sequence[Word], host: Mapping[str, Word]) -> ContainerLine:
    """Read the words behind `docker run`. `host`: the surrounding environment, for `-e NAME` without a value."""
    env: dict[str, Word] = {}
    gpus, entrypoint = "", None
    files: tuple[Word, ...] = ()
    at = 0
    while at < len(words):
        word = words[at]
        if not word.text.startswith("-") or word.text == "-":
            if not word.known and not word.text.strip("$ "):  # an unset variable that may be empty
                at += 1
                continue
            then = tuple(words[at + 1 :])
            return ContainerLine(image=word, entrypoint=entrypoint, command=then, env=env, gpus=gpus, env_files=files)
        name, equals, glued = word.text.partition("=")
        if word.text in SWITCHES or (equals and name in SWITCHES):
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
        if name in ("-e", "--env"):
            _set(env, value, host)
        elif name == "--env-file":
            files = (*files, value)
        elif name == "--entrypoint":
            entrypoint = value
        elif name == "--gpus":
            gpus = value.text.strip("\"'")
    return ContainerLine(entrypoint=entrypoint, env=env, gpus=gpus)


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
