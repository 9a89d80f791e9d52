"""Calls that start a container from Python: docker's client, Pulumi, Airflow, testcontainers, Modal's like.

Any call that names an engine's image, as `image=` or first, and words under one of the usual names.
"""

from __future__ import annotations

import ast
import shlex
from collections.abc import Callable, Mapping
from typing import Any, Final

from matrix.checking.containers import image_engine
from matrix.checking.shell_script import ShellReader
from matrix.checking.variables import Word, words_of

ENTRY: Final = ("entrypoint", "cmds")  # these take the image's entry point's place
WORDS: Final = ("command", "arguments", "args")
ENVIRONMENT: Final = ("environment", "env_vars", "env", "envs")
MakeWord = Callable[[ast.expr, Mapping[str, Any]], Word]


def read_container_call(call: ast.Call, reader: ShellReader, known: Mapping[str, Any], make_word: MakeWord) -> None:
    """Read a call that starts an engine's image; any other is passed over."""
    given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    node = given.get("image", call.args[0] if call.args else None)
    image = make_word(node, known) if node is not None else None
    if image is None or not image_engine(image.text) or " " in image.text:
        return
    if "image" not in given and len(call.args) > 1:  # containers.run(image, command)
        given.setdefault("command", call.args[1])
    first, then = (_read_words([given[n] for n in names if n in given], known, make_word) for names in (ENTRY, WORDS))
    env = {name: word for key in ENVIRONMENT for name, word in _read_environment(given.get(key), known, make_word)}
    if first or then:
        reader.start_in_image(image, (*first, *then), env, call.lineno, own=bool(first))


def _read_words(nodes: list[ast.expr], known: Mapping[str, Any], make_word: MakeWord) -> tuple[Word, ...]:
    found: list[Word] = []
    for given in nodes:
        node = known.get(f"{given.id} (node)", given) if isinstance(given, ast.Name) else given
        if isinstance(node, ast.List | ast.Tuple):
            found += [make_word(each, known) for each in node.elts]
            continue
        word = make_word(node, known)
        try:
            found += words_of(shlex.split(word.text), word.line) if word.known else [word]
        except ValueError:
            found.append(word)
    return tuple(found)


def _read_environment(node: ast.expr | None, known: Mapping[str, Any], make_word: MakeWord) -> list[tuple[str, Word]]:
    if not isinstance(node, ast.Dict):
        return []
    pairs = ((key, value) for key, value in zip(node.keys, node.values, strict=True) if key is not None)
    return [(make_word(key, known).text, make_word(value, known)) for key, value in pairs]
