"""What vLLM does to an argv before argparse sees it (utils/argparse_utils.py, FlexibleArgumentParser.parse_args).

Underscores in option names are dashes; `--a.b.c value` becomes JSON for `--a`; `-O3` is `--optimization-level 3`;
and `serve --model X` is `serve X`, with a warning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

OPTION_NAME = re.compile(r"(?<=--)[^\.]*")


def normalise_argv(argv: Sequence[str]) -> list[str]:
    """Normalise the words into those that argparse gets."""
    return _merge_dotted(_model_first([_normalise_dashes(word) for word in _expand_optimisation(argv)]))


def _expand_optimisation(argv: Sequence[str]) -> list[str]:
    out: list[str] = []
    for index, word in enumerate(argv):
        if re.match(r"-O=?\w", word):
            out += ["--optimization-level", word[2:].removeprefix("=")]
        else:
            # `-O 3` has its level behind a blank; another word behind -O is left to the parser, which has no such flag
            alone = word == "-O" and tuple(argv[index + 1 : index + 2]) in (("0",), ("1",), ("2",), ("3",))
            out.append("--optimization-level" if alone else word)
    return out


def _normalise_dashes(word: str) -> str:
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    # up to the first dot: keys of a dotted option are fields of a class, which keep their underscores
    return OPTION_NAME.sub(lambda m: m.group(0).replace("_", "-"), name, count=1) + equals + value


def _model_first(argv: list[str]) -> list[str]:
    """`--model X` anywhere becomes the first positional."""
    for index, word in enumerate(argv):
        if word == "--model" and index + 1 < len(argv):
            # in front, where vLLM's serve has its positional
            return [argv[index + 1], *argv[:index], *argv[index + 2 :]]
        if word.startswith("--model="):
            return [word.removeprefix("--model="), *argv[:index], *argv[index + 1 :]]
    return argv


def _merge_dotted(argv: list[str]) -> list[str]:
    """`--option.key value` pairs, merged into one JSON object per option at the end."""
    plain: list[str] = []
    objects: dict[str, dict[str, Any]] = {}
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        # -0.5 is a number, not an option with a key
        if not word.startswith("-") or "." not in name or re.match(r"-[\d.]", word):
            plain.append(word)
            continue
        option, *keys = name.removesuffix("+").split(".")
        text = value if equals else next(words, "")
        _set_nested(objects.setdefault(option, {}), keys, text.split(",") if name.endswith("+") else _parse_value(text))
    return plain + [word for option, entry in objects.items() for word in (option, json.dumps(entry))]


def _set_nested(target: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        inner = target.setdefault(key, {})
        if not isinstance(inner, dict):  # a value and a key of it: the later word counts
            inner = target[key] = {}
        target = inner
    before = target.get(keys[-1])
    # `--a.b+ x --a.b+ y` is one list of two
    target[keys[-1]] = [*before, *value] if isinstance(before, list) and isinstance(value, list) else value


def _parse_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
