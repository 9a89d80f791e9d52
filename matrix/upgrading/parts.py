"""What lies below a line: pins, the class that serves its model, keys of its config that a release reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from matrix.checking.rules import Decision
from matrix.preflight.snapshot import Snapshot
from matrix.upgrading.news import News, Way
from matrix.upgrading.sides import Side

# Libraries that compute, or that a request's text passes through; another version of any other changes no answer.
BELOW: Final = re.compile(
    r"torch|transformers|tokenizers|flashinfer|gemm|kernel|flash|triton|tilelang|cutlass|xgrammar|llguidance|nccl|cuda"
    r"|cudnn|tokenspeed|quack|compressed-tensors|modelopt|tvm-ffi|jinja|harmony|mistral-common"
)


def compare_pins(before: Side, after: Side) -> Iterator[News]:
    """Pins that differ, and what the line installs itself that the other release does not allow."""
    old, new = before.snapshot.pins, after.snapshot.pins
    installed = before.facts["installed"]
    versions = before.facts["pins"]
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name) and name not in installed:
            yield _pin(name, old.get(name), new.get(name), after)
    # what the line installs replaces the pin: the pin's own change means nothing to it
    for name in sorted(installed & (old.keys() | new.keys())):
        allowed = [_allows(pins.get(name), str(versions[name])) for pins in (old, new)]
        # refused on both sides, and it runs today: then the upgrade changes nothing about it
        if allowed[0] != allowed[1]:
            yield _report_installed(name, str(versions[name]), refused=not allowed[1], before=before, after=after)


def _pin(name: str, old: str | None, new: str | None, after: Side) -> News:
    texts = ["nothing" if spec is None else spec or "any version" for spec in (old, new)]
    way: Way = "begins" if old is None else "ends" if new is None else "changes"
    return News(
        part="pin",
        key=name,
        way=way,
        danger="other",
        level="note",
        title=f"pin {name}",
        cause=f"{texts[0]} -> {texts[1]}.",
        decided_by=after.read(f"its requirement of {name}"),
        sources=(after.snapshot.source,),
        # hundreds of pins move with each release: those of web servers and loggers are counted, not shown
        applies=BELOW.search(name) is not None,
    )


def _allows(spec: str | None, version: str) -> bool:
    try:
        return spec is None or SpecifierSet(spec, prereleases=True).contains(Version(version))
    except (InvalidSpecifier, InvalidVersion):
        # a specifier or version that is no PEP 440 proves no conflict
        return True


def _report_installed(name: str, version: str, *, refused: bool, before: Side, after: Side) -> News:
    wants = (after if refused else before).snapshot.pins[name]
    who = (after if refused else before).release.name
    return News(
        part="installed",
        key=name,
        way="begins" if refused else "ends",
        danger="stops" if refused else "fixed",
        level="risky" if refused else "note",
        title=f"{name}=={version}",
        cause=f"The launch installs {name} {version}, and {who} requires {wants}.",
        consequence="The installer refuses the pair, or the release runs with a library that it was not made for."
        if refused
        else "",
        remedy=f"Let {after.release.name} bring its own {name} ({wants})." if refused else "",
        decided_by=(after if refused else before).read(f"its requirement of {name}"),
        sources=((after if refused else before).snapshot.source,),
    )


def compare_class(before: Side, after: Side) -> Iterator[News]:
    """Compare the modules that serve the architecture, and the keys of config.json that only one side reads."""
    name = after.architecture
    old, new = before.snapshot.registered.get(name, ""), after.snapshot.registered.get(name, "")
    if old and new and old != new:
        yield News(
            part="class",
            key=name,
            way="changes",
            danger="other",
            level="note",
            title=f"class of {name}",
            cause=f"It is served by {new}, and was by {old}.",
            consequence="Another implementation: loader, sharing of indices and pipeline stages may differ.",
            decided_by=after.read("its model registry"),
            sources=(after.snapshot.source,),
        )
    for key in sorted(_list_given_keys(before)):
        reads = [_reads(s.snapshot, name, key) for s in (before, after)]
        # None: the text of that release was not searched for keys, which is not the same as not read
        if None not in reads and reads[0] != reads[1]:
            yield _report_key(key, name, reads[0] is True, before, after)


def _list_given_keys(side: Side) -> set[str]:
    """Keys of the config.json that the user gave and of the line's override."""
    overrides = side.fact("overrides")
    given = set(map(str, side.facts["file_config"])) if side.examined.model.given else set()
    # keys that a class fills in were not written by anybody, so nothing of theirs is lost
    return given - side.examined.model.assumed | set(map(str, overrides if isinstance(overrides, dict) else ()))


def _reads(snapshot: Snapshot, architecture: str, key: str) -> bool | None:
    return snapshot.reads_key(architecture, key)


def _report_key(key: str, architecture: str, was_read: bool, before: Side, after: Side) -> News:
    side = after
    verb = "nothing reads it any more" if was_read else "it is read"
    in_line = key in (before.fact("overrides") or {})
    return News(
        part="config key",
        key=key,
        way="ends" if was_read else "begins",
        danger=("wrong" if in_line else "other") if was_read else "new",
        level="risky" if was_read and in_line else "note",
        title=f"{'override' if in_line else 'config.json'} {key}",
        cause=f"In {side.release.name} {verb} for {architecture}.",
        consequence="What it says has no effect." if was_read else "What it says has an effect now.",
        decided_by=Decision(
            kind="wheel", fact=f"keys of config.json that its text reads [{side.snapshot.source}]", read=""
        ),
        sources=(side.snapshot.source,),
    )
