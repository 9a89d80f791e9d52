"""Lines of llama-server: names against those of a build, values of the cache, flash attention, micro-batches, drafts.

llama.cpp has no Python parser to read: the names come out of the strings of a built library (llamacpp.yaml).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.launchers import Command
from matrix.checking.rules import Level
from matrix.checking.variables import Word
from matrix.errors import find_nearest, suggest_nearest
from matrix.yaml.yamltext import read_data

NAMES: Final = Path(__file__).parent / "llamacpp.yaml"
ALIASES: Final[Mapping[str, str]] = {
    "-c": "--ctx-size",
    "-b": "--batch-size",
    "-ub": "--ubatch-size",
    "-fa": "--flash-attn",
    "-ctk": "--cache-type-k",
    "-ctv": "--cache-type-v",
    "-ctkd": "--cache-type-k-draft",
    "-ctvd": "--cache-type-v-draft",
    "-ngl": "--n-gpu-layers",
    "--gpu-layers": "--n-gpu-layers",
    "-np": "--parallel",
    "-m": "--model",
    "-hf": "--hf-repo",
    "-hfr": "--hf-repo",
    "-sm": "--split-mode",
    "-hff": "--hf-file",
    "-md": "--model-draft",
    "-ot": "--override-tensor",
    "-otd": "--override-tensor-draft",
    "-ts": "--tensor-split",
}
CACHE_TYPES: Final = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
WIDE: Final = frozenset({"f32", "f16", "bf16"})
FLASH: Final = frozenset({"on", "off", "auto", "enabled", "disabled", "true", "false", "1", "0", "-1"})
VALUED: Final[Mapping[str, tuple[str, str]]] = {  # option -> what it takes, an example
    "--flash-attn": ("on, off or auto", "on"),
    "--ctx-size": ("a number", "65536"),
    "--batch-size": ("a number", "2048"),
    "--ubatch-size": ("a number", "512"),
    "--parallel": ("a number", "4"),
    "--n-gpu-layers": ("a number, auto or all", "999"),
    "--model": ("a file", "GLM-5.gguf"),
    "--hf-repo": ("a repository", "unsloth/GLM-5-GGUF"),
}
CUT: Final = re.compile(r"(?P<number>(?P<digits>\d+)[\d.,]*)(?P<unit>(?:[^\d.,].*)?)", re.DOTALL)
UNITS: Final[Mapping[str, int]] = {"k": 1_000, "m": 1_000_000}
CACHES: Final = ("--cache-type-k", "--cache-type-v", "--cache-type-k-draft", "--cache-type-v-draft")
OFF: Final = frozenset({"off", "disabled", "false", "0"})
REPORTED_MICRO_BATCH: Final = 2048  # larger ones were reported to answer gibberish (ggml-org/llama.cpp#23574)
BATCH: Final = 2048  # the default
PART: Final = re.compile(r"-(?P<part>\d{5})-of-(?P<parts>\d{5})\.gguf$")


@cache
def _read_file() -> Mapping[str, Any]:
    found: Mapping[str, Any] = read_data(NAMES)
    return found


@cache
def read_names() -> tuple[str, frozenset[str]]:
    """Return the build, and every option name that it holds."""
    raw = _read_file()
    return str(raw["build"]), frozenset(raw["long"].split()) | frozenset(raw["short"].split())


def judge_llama(command: Command) -> Iterator[CheckFinding]:
    """Yield what is known of the words of a llama-server line."""
    build, names = read_names()
    given = {ALIASES.get(name.text, name.text): (name, value) for name, value in _iterate_options(command.argv)}
    for name, _ in given.values():
        # a name behind an unset variable may be any
        if name.text not in names and name.known:
            today = _read_file()["former"].get(name.text)
            hint = f"former builds had it; {today} took its place" if today else suggest_nearest(name.text, names)
            more = {"option": name.text, "hint": hint.strip("; ") or "no name of it is near", "build": build}
            # which build will run is not in the line, and one before this takes it
            level: Level | None = "risky" if today else None
            yield make_finding("llama_option_unknown", more, name.text, level=level, line=name.line)
    yield from _values(given, command.argv)
    yield from _named_values(given, build)
    yield from _shapes(given, build)
    yield from _parts(given, build)
    yield from _cut_numbers(given)
    yield from _caches(given)
    yield from _slots(given)
    yield from _batches(given)
    yield make_finding("llama_judged_by_build", {"build": build}, command.entry)


def _iterate_options(argv: tuple[Word, ...]) -> Iterator[tuple[Word, Word | None]]:
    """Each option with the word behind it, where that is none: llama.cpp takes no `=`."""
    for index, word in enumerate(argv):
        # `-1` is a value (all layers, no limit), not an option
        if word.text.startswith("-") and not word.text[1:2].isdigit() and len(word.text) > 1:
            after = argv[index + 1] if index + 1 < len(argv) else None
            has_value = after is not None and (not after.text.startswith("-") or after.text[1:2].isdigit())
            yield word, after if has_value else None


def _values(given: Mapping[str, tuple[Word, Word | None]], argv: tuple[Word, ...]) -> Iterator[CheckFinding]:
    """Yield options that lack their value: an option stands behind them, or nothing."""
    for name, (takes, example) in VALUED.items():
        word, value = given.get(name, (None, None))
        if word is None or not word.known:
            continue
        refused = value is not None and value.known and name == "--flash-attn" and value.text.lower() not in FLASH
        if value is not None and not refused:
            continue
        after = argv[argv.index(word) + 1 :]
        found = f"{(value or after[0]).text} stands behind it" if after else "nothing stands behind it"
        more = {"option": word.text, "values": takes, "found": found, "example": example}
        yield make_finding("llama_option_without_its_value", more, word.text, line=word.line)


def _named_values(given: Mapping[str, tuple[Word, Word | None]], build: str) -> Iterator[CheckFinding]:
    """Yield values that are none of the few names of their option, and options that the build keeps to refuse them."""
    for name, (word, value) in given.items():
        if name in _read_file()["removed"]:
            more = {"option": word.text, "instead": _read_file()["removed"][name], "build": build}
            yield make_finding("llama_option_removed", more, word.text, line=word.line)
        names = _read_file()["values"].get(name)
        if names is None or value is None or not value.known or set(value.text.split(",")) <= set(names):
            continue
        near = find_nearest(value.text, names)
        more = {"option": word.text, "value": value.text, "values": ", ".join(names), "build": build}
        more["instead"] = f"Write {near}" if near else "Write one of them"
        yield make_finding("llama_value_unknown", more, f"{word.text} {value.text}", line=word.line)


def _shapes(given: Mapping[str, tuple[Word, Word | None]], build: str) -> Iterator[CheckFinding]:
    """Yield values that have not the form of their option: `-ot exps` names no buffer."""
    for name, shape in _read_file()["shapes"].items():
        word, value = given.get(name, (None, None))
        if word is None or value is None or not value.known:
            continue
        if all(re.fullmatch(shape["form"], part) for part in re.split("[,/]" if "split" in name else ",", value.text)):
            continue
        more = {"option": word.text, "value": value.text, "values": shape["wants"], "build": build}
        more["instead"] = f"Write {shape['wants']}"
        yield make_finding("llama_value_unknown", more, f"{word.text} {value.text}", line=word.line)


def _parts(given: Mapping[str, tuple[Word, Word | None]], build: str) -> Iterator[CheckFinding]:
    """Yield a model of several files that is named by another file than its first."""
    for name in ("--model", "--hf-file", "--model-draft", "--spec-draft-model"):
        word, value = given.get(name, (None, None))
        found = PART.search(value.text) if word is not None and value is not None else None
        if word is None or value is None or found is None or int(found["part"]) == 1:
            continue
        first = f"{value.text[: found.start()]}-00001-of-{found['parts']}.gguf"
        more = {"path": value.text, "part": int(found["part"]), "parts": int(found["parts"]), "first": first}
        subject = f"{word.text} {value.text}"
        yield make_finding("llama_part_is_not_the_first", {**more, "build": build}, subject, line=word.line)


def _cut_numbers(given: Mapping[str, tuple[Word, Word | None]]) -> Iterator[CheckFinding]:
    """Yield numbers with a unit behind them, `200k`, of which the digits alone are read."""
    for name, (takes, _) in VALUED.items():
        word, value = given.get(name, (None, None))
        found = CUT.fullmatch(value.text) if value is not None and value.known and takes == "a number" else None
        if word is None or value is None or found is None or value.text.isdigit():
            continue
        whole = int(float(found["number"].replace(",", "")) * UNITS.get(found["unit"].lower(), 1))
        more = {"option": word.text, "value": value.text, "number": str(int(found["digits"])), "whole": str(whole)}
        yield make_finding("llama_number_cut", more, f"{word.text} {value.text}", line=value.line)


def _slots(given: Mapping[str, tuple[Word, Word | None]]) -> Iterator[CheckFinding]:
    slots, window = _read_count(given, "--parallel"), _read_count(given, "--ctx-size")
    if slots is None or slots < 2 or not window or given.keys() & {"--kv-unified", "-kvu"}:
        return
    word, _ = given["--ctx-size"]
    more = {"slots": slots, "window": f"{window:,}", "each": f"{window // slots:,}"}
    yield make_finding("llama_slots_share_the_window", more, f"{word.text} {window}", line=word.line)


def _caches(given: Mapping[str, tuple[Word, Word | None]]) -> Iterator[CheckFinding]:
    for name in CACHES:
        word, value = given.get(name, (None, None))
        if word is None or value is None or not value.known:
            continue
        subject = f"{word.text} {value.text}"
        if value.text not in CACHE_TYPES:
            more: dict[str, Any] = {"type": value.text, "types": ", ".join(CACHE_TYPES)}
            yield make_finding("llama_cache_type_unknown", more, subject, line=value.line)
        elif name.startswith("--cache-type-v") and value.text not in WIDE and _read_given(given, "--flash-attn") in OFF:
            yield make_finding("llama_quantised_values", {"type": value.text}, subject, line=value.line)


def _batches(given: Mapping[str, tuple[Word, Word | None]]) -> Iterator[CheckFinding]:
    micro, whole = _read_count(given, "--ubatch-size"), _read_count(given, "--batch-size") or BATCH
    if micro is None:
        return
    word, _ = given["--ubatch-size"]
    subject = f"{word.text} {micro}"
    if micro > whole:
        yield make_finding("llama_micro_batch_above_batch", {"micro": micro, "batch": whole}, subject, line=word.line)
    # llama.cpp cuts the micro-batch to the batch: the smaller one is what runs
    if min(micro, whole) > REPORTED_MICRO_BATCH:
        yield make_finding("llama_micro_batch", {"micro": min(micro, whole)}, subject, line=word.line)


def _read_given(given: Mapping[str, tuple[Word, Word | None]], name: str) -> str:
    _, value = given.get(name, (None, None))
    return value.text.lower() if value is not None else ""


def _read_count(given: Mapping[str, tuple[Word, Word | None]], name: str) -> int | None:
    text = _read_given(given, name)
    return int(text) if text.isdigit() else None
