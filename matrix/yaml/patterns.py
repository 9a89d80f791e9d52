"""What a text may look like where it becomes a path, a word of a command or a line of a page; told at load.

Whoever writes such a text into a script quotes it all the same: these forms keep a paste from another page out of the
names, and say so with file and line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from packaging.requirements import InvalidRequirement, Requirement

from matrix.errors import Problem
from matrix.hardware import Gpu
from matrix.model import Cause, Checkpoint, Engine, Family, Feature, Overlay, Release, Rule
from matrix.recorded import Claim, KnownFailure

if TYPE_CHECKING:
    from matrix.yaml.loaded import Loaded


@dataclass(frozen=True)
class TextPattern:
    """A regular expression for the whole text, and how a person would say it."""

    expression: re.Pattern[str]
    expected: str

    def fits(self, text: str) -> bool:
        return self.expression.fullmatch(text) is not None


def _pattern(expression: str, expected: str) -> TextPattern:
    return TextPattern(re.compile(expression), expected)


ID: Final = _pattern(r"[a-z0-9][a-z0-9_]*", "lower-case letters, digits and _, like glm51_478b_nvfp4")
NAME: Final = _pattern(r"[A-Za-z0-9][A-Za-z0-9_]*", "letters, digits and _")
REPOSITORY: Final = _pattern(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", "a Hugging Face id, OWNER/NAME")
REVISION: Final = _pattern(r"[0-9a-f]{40}", "a commit: 40 of 0-9 and a-f")
SHA256: Final = _pattern(r"[0-9a-f]{64}", "a SHA-256: 64 of 0-9 and a-f")
DIGEST: Final = _pattern(r"sha256:[0-9a-f]{64}", "sha256: and 64 of 0-9 and a-f")
IMAGE: Final = _pattern(r"[a-z0-9][\w.:/-]*", "an image, like vllm/vllm-openai:v0.26.0")
PATH: Final = _pattern(r"(?!.*\.\.)[A-Za-z0-9_][\w./+-]*", "a path inside this checkout")
MODULE: Final = _pattern(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", "a Python module")
CLASS: Final = _pattern(r"[A-Za-z_]\w*", "the name of a class")
LETTERS: Final = _pattern(r"[FS]+", "a letter for each layer, F or S")
VARIABLE: Final = _pattern(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable")
URL_PATH: Final = _pattern(r"/[\w./-]*", "a path of an address, like /health")
FLAG: Final = _pattern(r"--?[A-Za-z][\w.-]*", "a flag, like --page-size")
TEXTS: Final[Mapping[type, Mapping[str, TextPattern]]] = {
    Gpu: {"id": ID, "rigs": ID},
    Engine: {
        "id": ID,
        "model_argument": FLAG,
        "served_name_argument": FLAG,
        "host_argument": FLAG,
        "port_argument": FLAG,
        "api_key_argument": FLAG,
        "api_key_env": VARIABLE,
        "health_path": URL_PATH,
    },
    Release: {"id": ID, "image": IMAGE, "image_digest": DIGEST, "module": MODULE, "architectures": CLASS},
    Checkpoint: {
        "id": ID,
        "architecture": CLASS,
        "repository": REPOSITORY,
        "revision": REVISION,
        "sha256": SHA256,
        "weights_path": PATH,
        "index_topk_pattern": LETTERS,
    },
    Family: {"id": ID},
    Feature: {"id": ID},
    Overlay: {"id": NAME, "args": FLAG, "env": VARIABLE},
    Rule: {"id": NAME},
    KnownFailure: {"id": NAME},
    Claim: {"id": NAME},
    Cause: {"id": NAME},
}


def find_wrong_texts(items: Iterable[Loaded[Any]]) -> Iterator[Problem]:
    """Find every text, key or entry of a list that has not the form that its place wants."""
    for item in items:
        for name, pattern in TEXTS[type(item.value)].items():
            for loc, text in _iterate_texts(name, getattr(item.value, name)):
                if not pattern.fits(text):
                    yield _place_problem(item, loc, f"expected {pattern.expected}, got {text!r}")
        if isinstance(item.value, Release) and (why := _wrong_requirement(item.value.requirement)):
            yield _place_problem(item, ("requirement",), why)


def _iterate_texts(name: str, value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield (name,), value
    elif isinstance(value, Mapping):
        yield from (((name, key), key) for key in value)
    elif value is not None:
        yield from (((name, index), text) for index, text in enumerate(value))


def _wrong_requirement(text: str | None) -> str:
    """Say what is wrong with a line that an installer will read: it would obey an option or an address there."""
    try:
        # PEP 508 takes `name @ https://...`, and an installer would fetch it
        found = Requirement(text) if text else None
    except InvalidRequirement:
        return f"expected a requirement, like sglang==0.5.17, got {text!r}"
    return f"expected a name and a version, got an address: {text!r}" if found is not None and found.url else ""


def _place_problem(item: Loaded[Any], loc: tuple[str | int, ...], message: str) -> Problem:
    line = item.lines.get(loc, item.lines.get(loc[:1], item.line))
    return Problem(item.file, line, ".".join(map(str, loc)), message)
