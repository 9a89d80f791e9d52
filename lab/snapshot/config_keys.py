"""List the keys of config.json that a release reads: by all models ("*"), and by each architecture of the family.

    getattr(config, "index_topk_freq", 1)    config.index_topk    "x" in config    config.get("x")

An override of a key that nothing reads is accepted in silence, so this errs to one side: a key is read when anything in
reach of the architecture could read it. Where a file asks for a key by a variable, all words that it quotes are read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from lab.snapshot.source import TESTS, Module, WheelSource, absolute_name

COMMON: Final = "*"
WORDS: Final = ["hf", "text", "thinker", "llm", "language", "draft", "pretrained", "model"]
OWNER: Final = re.compile(rb"(?:^|\W)_?(?:(?:" + "|".join(WORDS).encode() + rb")_)*$")  # in front of "config"
# Each begins with a literal, which `re` finds fast: thirty megabytes of text are searched.
READS: Final = tuple(
    re.compile(
        word + rb"(?:_dict)?(?:\s*,\s*[\"'](\w+)[\"']|\.(?:get|pop)\(\s*[\"'](\w+)[\"']"
        rb"|\[[\"'](\w+)[\"']\]|\.([a-z]\w*))"
    )
    for word in (b"config", b"cfg")
)
CONTAINED: Final = re.compile(rb"[\"'](\w+)[\"'] (?:not )?in [\w.]*(?:config|cfg)(?:_dict)?\b")
BY_VARIABLE: Final = re.compile(rb"attr\(\s*[\w.]*(?:config|cfg)\s*,\s*[a-z_]\w*\s*[,)]")
QUOTED: Final = re.compile(rb"[\"']([a-z]\w+)[\"']")
FIELD: Final = re.compile(rb"^    (?:    )?(\w+)\s*(?::[^=\n]+)?=[^=]|^ +(\w+)\s*:[^=\n]+=[^=]", re.MULTILINE)
CONFIG_CLASS: Final = re.compile(rb"^class \w+\([^)]*(PretrainedConfig|PreTrainedConfig)", re.MULTILINE)
IMPORTS: Final = re.compile(rb"^\s*(?:from|import) ([\w.]+)", re.MULTILINE)
OWNER_CHARS: Final = 40


def read_keys(
    package: WheelSource, *, prefix: str, models: tuple[str, ...], registered: Mapping[str, str]
) -> dict[str, frozenset[str]]:
    """Return scope -> keys. `models`: folders whose files serve single models; `registered`: each architecture's
    module."""
    ours = [p for p in package.files if p.startswith(prefix) and p.endswith(".py") and not any(t in p for t in TESTS)]
    # config classes of single models stand outside the models' folder as well
    single = {p for p in ours if p.startswith(models) or CONFIG_CLASS.search(package.files[p])}
    outside = [p for p in ours if p not in single]
    # a model's file that the engine itself imports (utilities, DeepSeek's base) works for every model
    shared = {path for path in single if path.startswith(models)} & _imported(package, outside)
    common = _read_keys(package, [*outside, *shared])
    found = {COMMON: frozenset(common)}
    for architecture, name in registered.items():
        # without what all read: a class keeps what is its own, and releases can be compared
        found[architecture] = frozenset(_read_keys(package, _reached(package, name, single)) - common)
    return {scope: keys for scope, keys in found.items() if keys}


def _read_keys(package: WheelSource, paths: Iterable[str]) -> set[str]:
    """Return the keys that any of these files reads."""
    found = {word for path in paths for word in _iterate_words(package.files[path])}
    return {name for word in found if len(name := word.decode()) > 1 and name[0].islower()}


def _iterate_words(text: bytes) -> Iterator[bytes]:
    # (both spellings, Config and config) most of thirty megabytes is left out by this line
    if b"onfig" not in text and b"cfg" not in text:
        return
    for pattern in READS:
        for match in pattern.finditer(text):
            # what stands in front decides: hf_config is the checkpoint's, parallel_config is the engine's
            if OWNER.search(text, max(0, match.start() - OWNER_CHARS), match.start()):
                yield from (word for word in match.groups() if word)
    yield from CONTAINED.findall(text)
    if BY_VARIABLE.search(text):
        yield from QUOTED.findall(text)
    if CONFIG_CLASS.search(text):
        yield from (word for words in FIELD.findall(text) for word in words if word)


def _imported(package: WheelSource, paths: Iterable[str]) -> set[str]:
    """Return the files that these files import as modules of their own, by absolute name."""
    names = {name.decode() for path in paths for name in IMPORTS.findall(package.files[path])}
    stems = (name.replace(".", "/") for name in names)
    return {path for stem in stems if (path := f"{stem}.py") in package.files}


def _reached(package: WheelSource, name: str, within: set[str]) -> list[str]:
    """Return the files among `within` that the module imports, directly or through each other, and its own package."""
    folders = {str(PurePosixPath(path).parent) for path in within}
    waiting, seen = list(_own(package, name)), set[str]()
    while waiting:
        module = waiting.pop()
        # cycles among the models' files are common: each is opened once
        if module.path not in seen and module.path in within:
            seen.add(module.path)
            waiting += _imports(package, module, folders)
    return sorted(seen)


def _own(package: WheelSource, name: str) -> Iterator[Module]:
    """Return the module; of a package, every module in it: a lazy `__init__` hides its exports."""
    module = package.module(name)
    if module is None:
        return
    yield module
    if module.is_package:
        folder = str(PurePosixPath(module.path).parent) + "/"
        yield from (m for found in package.names(folder) if (m := package.module(found)))


def _imports(package: WheelSource, module: Module, folders: set[str]) -> Iterator[Module]:
    """Return the modules from which it imports names. Open only those of `folders`: each costs a parse."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        source = package.module(absolute_name(module, node))
        for alias in node.names:
            if whole := package.module(f"{absolute_name(module, node)}.{alias.name}"):
                yield whole
            elif source and str(PurePosixPath(source.path).parent) in folders:
                found = package.find(source, alias.name) if source.is_package else (source, source.tree)
                yield from (found[0],) if found else ()
