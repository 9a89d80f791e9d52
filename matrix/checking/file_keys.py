"""Keys and values of the YAML behind `trtllm-serve --config`, by the classes that the release fills with it.

The classes refuse a key that they do not have, so one wrong key ends the start. A key of one variant
(`speculative_config[MTP].relaxed_topk`) counts where the file selects that variant.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.releases import AskedRelease, list_versions
from matrix.checking.settings import Settings
from matrix.checking.yaml_nodes import iterate_items, line_of, make_plain
from matrix.preflight.snapshot import Flag, Snapshot, snapshot_for

OPEN: Final = "any"
SHARE_UNDER: Final = "kv_cache_config"  # where the file says what --free_gpu_memory_fraction says on the line
DEPTH: Final = 8
TRUTHS: Final = ("true", "false", "yes", "no", "on", "off", "t", "f", "y", "n", "0", "1")
WANTED: Final = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text", "list": "a list"}


@dataclass(frozen=True)
class _File:
    snapshot: Snapshot
    path: str
    offset: int | None  # lines before the file's first one within the text that is judged; None: a file of its own
    exact: bool  # the release itself was read: what it does not have is refused

    def tell(self, id_: str, node: yaml.Node, key: str, **more: object) -> CheckFinding:
        of = f"TensorRT-LLM {self.snapshot.version}" + ("" if self.exact else " (the release asked for was not read)")
        known = {"path": self.path, "at": line_of(node), "key": key, "of": of, "source": self.snapshot.source}
        at = 0 if self.offset is None else line_of(node) + self.offset
        return make_finding(id_, known, key, level=None if self.exact else "unknown", line=at, **more)


def judge_file_keys(
    node: yaml.Node, path: str, release: AskedRelease, offset: int | None = None
) -> Iterator[CheckFinding]:
    """Yield what the release refuses of a file; of a release that was not read, what its neighbour would refuse."""
    # a release whose classes were not read borrows its neighbour's, and then nothing is certain (`exact`)
    own = release.snapshot
    snapshot = own if own is not None and own.file_keys else nearest_with_keys(release)
    if snapshot is not None:
        exact = own is snapshot and snapshot.knows("file_keys")
        yield from _judge_mapping(node, "", "", _File(snapshot, path, offset, exact), DEPTH)


def nearest_with_keys(release: AskedRelease) -> Snapshot | None:
    """Return the newest snapshot of the engine whose keys were read: good for the meaning of words only."""
    known = (snapshot_for(stem) for _, stem in reversed(list_versions(release.engine)))
    return next((found for found in known if found is not None and found.file_keys), None)


def find_overridden(
    settings: Settings, data: Mapping[str, Any], path: str, release: AskedRelease
) -> Iterator[CheckFinding]:
    """Yield each flag of the line whose value the file replaces by another: the file is put over the flags."""
    below = data.get(SHARE_UNDER)
    # the share of free memory stands below a key in the file and is a flag of its own on the line
    entries = {**data, **(below if isinstance(below, Mapping) else {})}
    for use in settings.uses:
        name = use.flag.dest if use.flag is not None else ""
        if name not in entries or not use.values or use.written in settings.holes:
            continue
        if not _is_same_value(entries[name], use.values[-1]):
            written, more = f"{use.written} {use.values[-1]}", {"value": entries[name], "source": release.name}
            at = settings.lines.get(use.written, 0)
            yield make_finding("file_overrides_flag", more, written, line=at, written=written, key=name, path=path)


def _is_same_value(value: Any, written: str) -> bool:
    """Whether a value of the file is what a flag says: 8 and "8", 0.9 and "0.90"."""
    try:
        return float(value) == float(written)
    except (TypeError, ValueError):
        return str(value) == written


def _judge_mapping(node: yaml.Node, prefix: str, variant: str, file: _File, depth: int) -> Iterator[CheckFinding]:
    """Judge each entry of a mapping below `prefix` (`kv_cache_config.`), whose keys may be those of a variant."""
    # counted in nodes: plain data has lost the first of two equal keys
    counted = Counter(key for key, _ in iterate_items(node))
    for key, value in iterate_items(node):
        full = f"{prefix}.{key}" if prefix else key
        flag = _known(prefix, key, variant, file.snapshot)
        if flag is None:
            yield file.tell("file_key_unknown", value, full, hint=_hint(prefix, key, variant, file.snapshot))
            continue
        # popped, so that a key of three occurrences is told once
        if counted.pop(key, 1) > 1:
            yield file.tell("file_key_repeated", value, full)
        if flag.deprecated:
            yield file.tell("file_key_deprecated", value, full, advice=flag.deprecated)
        yield from _judge_value(value, full, flag, file, depth)


def _judge_value(node: yaml.Node, full: str, flag: Flag, file: _File, depth: int) -> Iterator[CheckFinding]:
    """Judge a value, and the keys below it where the release's class has some."""
    if flag.type == "dict" and isinstance(node, yaml.MappingNode) and depth:
        if flag.keys:
            yield from _judge_variants(node, full, flag, file, depth)
        # a dictionary whose keys the release leaves open has none below it, and everything in it is taken
        elif any(name.startswith(f"{full}.") for name in file.snapshot.keys_of_file):
            yield from _judge_mapping(node, full, "", file, depth - 1)
        return
    if wanted := _refused(node, flag):
        shown = str(make_plain(node))[:60]
        yield file.tell(
            "file_value_refused", node, full, value=shown, wanted=wanted, hint=_suggest_value(shown, flag.choices)
        )


def _judge_variants(node: yaml.MappingNode, full: str, flag: Flag, file: _File, depth: int) -> Iterator[CheckFinding]:
    """Judge a mapping one of whose keys selects its class: `decoding_type: MTP`."""
    assert flag.keys is not None
    ((tag, names),) = flag.keys.items()
    names = names or ()
    chosen = next((value for key, value in iterate_items(node) if key == tag), None)
    name = str(make_plain(chosen)) if chosen is not None else ""
    found = next((n for n in names if n == name or (flag.lowers and n == name.lower())), None)
    if found is None:
        wanted = f"{tag} with one of {', '.join(map(str, names))}"
        at = node if chosen is None else chosen
        subject = f"{full}.{tag}"
        yield file.tell(
            "file_value_refused", at, subject, value=name or "nothing", wanted=wanted, hint=_suggest_value(name, names)
        )
        return
    # without the tag itself, which is no key of the variant's own class
    rest = yaml.MappingNode(node.tag, [(k, v) for k, v in node.value if k.value != tag], node.start_mark, node.end_mark)
    yield from _judge_mapping(rest, full, str(found), file, depth - 1)


def _known(prefix: str, key: str, variant: str, snapshot: Snapshot) -> Flag | None:
    held = snapshot.keys_of_file
    full = f"{prefix}.{key}" if prefix else key
    return held.get(full) or (held.get(f"{prefix}[{variant}].{key}") if variant else None)


def _hint(prefix: str, key: str, variant: str, snapshot: Snapshot) -> str:
    """Name the nearest key of the same mapping, or the place of the key of this very name."""
    held = snapshot.keys_of_file
    starts = (f"{prefix}.", f"{prefix}[{variant}].") if prefix else ("",)
    below = {name[len(s) :] for name in held for s in starts if name.startswith(s) and "." not in name[len(s) :]}
    if close := difflib.get_close_matches(key, sorted(below), n=1, cutoff=0.6):
        return f"Did you mean {close[0]}?"
    # a right key in the wrong place (`dtype` at the top instead of in kv_cache_config): its place is the hint
    elsewhere = sorted(name for name in held if name.rpartition(".")[2] == key)
    return f"Write it as {elsewhere[0]}." if elsewhere else "Drop it."


def _refused(node: yaml.Node, flag: Flag) -> str:
    """Return what the class wants where it refuses the value, as pydantic converts: "8" is a number, 8 is no text."""
    value = make_plain(node)
    if value is None:
        # `key:` alone is null, which pydantic takes for Optional fields only
        return "" if flag.nargs == "?" or flag.type == OPEN else WANTED.get(flag.type, "a value")
    if flag.choices is not None:
        return "" if value in flag.choices else f"one of {', '.join(map(str, flag.choices))}"
    return "" if flag.type not in WANTED or _converts(value, flag.type) else WANTED[flag.type]


def _converts(value: Any, kind: str) -> bool:
    match kind:
        case "bool":
            return isinstance(value, bool) or str(value).lower() in TRUTHS
        case "int":
            return isinstance(value, int) or _is_number(value, whole=True)
        case "float":
            return isinstance(value, (int, float)) or _is_number(value, whole=False)
        case "list":
            return isinstance(value, list)
        case _:
            return isinstance(value, str)


def _is_number(value: Any, *, whole: bool) -> bool:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return False
    return number.is_integer() or not whole


def _suggest_value(word: str, known: tuple[Any, ...] | None) -> str:
    lowered = {str(k).lower(): str(k) for k in known or ()}
    found = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return f"Did you mean {lowered[found[0]]}?" if found else "Correct the value."
