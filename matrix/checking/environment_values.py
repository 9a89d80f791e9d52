"""Texts of the engines' own variables that are not what the engine makes of them: `VLLM_USE_DEEP_GEMM=true`.

vLLM turns them into numbers by `int()`, and its start ends; SGLang warns and goes on with the default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.launchers import Command
from matrix.checking.releases import AskedRelease
from matrix.checking.settings import read_number
from matrix.errors import find_nearest
from matrix.preflight.environment import ENGINE_PREFIXES, name_today
from matrix.preflight.values import READERS
from matrix.yaml.yamltext import read_data

VALUES: Final = Path(__file__).with_name("environment_values.yaml")
ENGINES: Final = frozenset({"vllm", "sglang"})  # whose variables were read
WORDS: Final = frozenset({"true", "1", "yes", "y", "false", "0", "no", "n"})  # EnvBool of SGLang
OFF: Final = frozenset({"off", "no", "false", "n", "disable", "disabled", "none", ""})

ALLOCATOR_VARIABLES: Final = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
# Names that PyTorch's allocator splits its variable into; a later one may have more, so only a near miss is told.
ALLOCATOR: Final = frozenset(
    """
    backend max_split_size_mb max_non_split_rounding_mb roundup_power2_divisions garbage_collection_threshold
    expandable_segments release_lock_on_cudamalloc release_lock_on_hipmalloc pinned_use_cuda_host_register
    pinned_use_hip_host_register pinned_num_register_threads pinned_reserve_segment_size_mb
    pinned_use_background_threads graph_capture_record_stream_reuse per_process_memory_fraction
    """.split()  # noqa: SIM905
)


@cache
def _read_kinds(engine: str) -> tuple[str, Mapping[str, str], Mapping[str, list[str]]]:
    """Return the wheels that were read, the kind of each variable, and the words of those that take a few."""
    table: Mapping[str, Any] = read_data(VALUES)[engine]
    kinds = {name: kind for kind in ("switch", "int", "float") for name in table[kind].split()}
    return str(table["wheels"]), kinds, table.get("choice", {})


def judge_environment_values(command: Command, release: AskedRelease) -> Iterator[CheckFinding]:
    """Yield each variable that the release reads and whose text it refuses, or takes for another one."""
    yield from _judge_allocator(command)
    snapshot = release.snapshot
    if command.engine not in ENGINES or snapshot is None:
        return
    own = {n: w for n, w in command.env.items() if n.startswith(ENGINE_PREFIXES[command.engine]) and w.known}
    if not own:
        return
    wheels, kinds, choices = _read_kinds(command.engine)
    for written, word in own.items():
        name = name_today(written, command.engine)
        wanted = _explain(command.engine, kinds.get(name, ""), choices.get(name, []), word.text)
        if wanted and name in snapshot.env:
            more = {"name": written, "value": word.text, "wanted": wanted, "wheels": wheels}
            more["instead"] = _suggest_value(kinds.get(name, ""), word.text)
            id_ = f"variable_of_no_value_{command.engine}"
            yield make_finding(id_, more, f"{written}={word.text}", line=word.line)


def _judge_allocator(command: Command) -> Iterator[CheckFinding]:
    """Yield options of PyTorch's allocator that look like one and are none: `expandable_segment:True`."""
    for name in ALLOCATOR_VARIABLES:
        word = command.env.get(name)
        if word is None or not word.known:
            continue
        for part in re.sub(r"\[[^\]]*\]", "", word.text).split(","):
            option = part.partition(":")[0].strip()
            near = find_nearest(option, ALLOCATOR) if option and option not in ALLOCATOR else None
            if near:
                more = {"name": name, "option": option, "near": near}
                yield make_finding("allocator_option_of_no_name", more, f"{name}={word.text}", line=word.line)


def _explain(engine: str, kind: str, choices: list[str], text: str) -> str:
    """Return what the variable takes where the text is none of it; empty where it is."""
    if choices:
        return "" if text in choices else f"one of {', '.join(choices)}"
    match kind:
        case "switch" if engine == "sglang":
            return "" if text.lower() in WORDS else "true, 1, yes, y, false, 0, no or n"
        case "switch":
            return "" if READERS["int"](text) else "0 or 1"
        case "int" | "float":
            number = "a whole number" if kind == "int" else "a number"
            return "" if READERS[kind](text) else number
    return ""


def _suggest_value(kind: str, text: str) -> str:
    if kind == "switch":
        return f"Write {0 if text.strip().lower() in OFF else 1}"
    number = read_number(text.replace(",", "")) if kind == "int" else None
    return f"Write {int(number)}" if number is not None else "Write one of these"
