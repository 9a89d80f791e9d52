"""What one predicate says of one release: it holds, it does not, or nobody can tell. With what was seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

from matrix.facts.model import probe_key
from matrix.pins import Pins
from matrix.preflight.guards import FOLDER as GUARDS
from matrix.preflight.guards import read_guards
from matrix.preflight.kernels import KERNELS, KernelWheel, read_wheels, wheel_for
from matrix.preflight.snapshot import SNAPSHOTS, Snapshot, release_id, snapshot_for

Keys = Mapping[str, Any]


@dataclass(frozen=True)
class PredicateAnswer:
    """`holds` None: not known, and `why` says what is missing."""

    holds: bool | None
    why: str

    def negated(self) -> PredicateAnswer:
        # What nobody can tell stays untold when it is negated; `not None` would be True.
        return PredicateAnswer(None if self.holds is None else not self.holds, self.why)


@dataclass(frozen=True)
class HeldWheels:
    """Where snapshots and kernel wheels are kept."""

    snapshots: Path = SNAPSHOTS
    kernels: Path = KERNELS
    guards: Path = GUARDS


def ask_predicate(kind: str, keys: Keys, snapshot: Snapshot, held: HeldWheels) -> PredicateAnswer:
    """One predicate of one release."""
    return PREDICATES[kind](keys, snapshot, held)


def _unread(snapshot: Snapshot, part: str) -> PredicateAnswer | None:
    if snapshot.knows(part):
        return None
    if part in snapshot.unread:
        return PredicateAnswer(None, f"its {part} could not be read: {snapshot.unread[part]}")
    return PredicateAnswer(None, "the release itself was not read")


def _registers(keys: Keys, snapshot: Snapshot, _: HeldWheels) -> PredicateAnswer:
    name, module = keys["architecture"], keys.get("module")
    # What was found is there however little was read; only absence asks whether the reading was complete.
    if name not in snapshot.architectures:
        return _unread(snapshot, "architectures") or PredicateAnswer(False, f"registers no {name}")
    served = snapshot.registered.get(name, "")
    if module is None:
        return PredicateAnswer(True, f"registers {name}")
    if not served:
        return PredicateAnswer(None, f"which module serves {name} was not read")
    return PredicateAnswer(fnmatchcase(served, module), f"{name} is served by {served}")


def _chooses(keys: Keys, snapshot: Snapshot, _: HeldWheels) -> PredicateAnswer:
    if keys["architecture"] not in snapshot.architectures:
        return _unread(snapshot, "architectures") or PredicateAnswer(False, f"registers no {keys['architecture']}")
    asked = f"{keys['architecture']} sm{keys['sm']} {keys['kv']}"
    found = snapshot.chosen.get(asked)
    if found is None:
        return _unread(snapshot, "chosen") or PredicateAnswer(None, f"what it chooses for {asked} was not derived")
    if found.startswith("undecided"):
        return PredicateAnswer(None, f"{asked}: {found}")
    wanted = keys["backend"] if isinstance(keys["backend"], list) else [keys["backend"]]
    names = found.partition(" (")[0].split(", ")
    # Several names: the choice hangs on what nobody asked, so each of them must be a wanted one.
    return PredicateAnswer(all(name in wanted for name in names), f"{asked}: {found}")


def _reads_key(keys: Keys, snapshot: Snapshot, _: HeldWheels) -> PredicateAnswer:
    found = snapshot.reads_key(keys["architecture"], keys["key"])
    if found is None:
        return PredicateAnswer(None, f"the config keys of {keys['architecture']} were not read")
    return PredicateAnswer(found, f"{'reads' if found else 'nothing reads'} {keys['key']} for {keys['architecture']}")


def _reads_env(keys: Keys, snapshot: Snapshot, _: HeldWheels) -> PredicateAnswer:
    if keys["name"] in snapshot.env:
        return PredicateAnswer(True, f"reads {keys['name']}")
    return _unread(snapshot, "env") or PredicateAnswer(False, f"nothing reads {keys['name']}")


def _has_flag(keys: Keys, snapshot: Snapshot, _: HeldWheels) -> PredicateAnswer:
    flag = snapshot.options.get(keys["option"])
    if flag is None:
        return _unread(snapshot, "flags") or PredicateAnswer(False, f"has no {keys['option']}")
    choice = keys.get("choice")
    if choice is None:
        return PredicateAnswer(True, f"has {keys['option']}")
    # Not `listed`: what a release names without enforcing it takes other words, too.
    closed = flag.choices or flag.values
    if closed is None:
        return PredicateAnswer(None, f"the values of {keys['option']} are not a closed list")
    return PredicateAnswer(
        choice in closed, f"{keys['option']} {'takes' if choice in closed else 'does not take'} {choice}"
    )


def _pins(keys: Keys, snapshot: Snapshot, held: HeldWheels) -> PredicateAnswer:
    name = canonicalize_name(keys["library"])
    if name not in snapshot.pins:
        return _unread(snapshot, "requires") or PredicateAnswer(False, f"pins no {name}")
    pinned = f"pins {name}{snapshot.pins[name]}"
    if Pins(snapshots=held.snapshots).allows_only(snapshot.release, name, keys["versions"]):
        return PredicateAnswer(True, pinned)
    # A range may still be installed as a wanted version, which the wheel does not say; `==` leaves nothing open.
    exact = snapshot.pins[name].startswith("==")
    return PredicateAnswer(False if exact else None, pinned)


def _pinned_version(name: str, snapshot: Snapshot) -> str:
    spec = snapshot.pins.get(canonicalize_name(name), "")
    return spec.removeprefix("==") if spec.startswith("==") else ""


def _kernel_source(keys: Keys, snapshot: Snapshot, held: HeldWheels) -> PredicateAnswer:
    """Find sources named for the GPU, in a pinned library or (`of` the engine) in the release's own wheel."""
    own = keys["of"] == snapshot.engine
    version = snapshot.version if own else _pinned_version(keys["of"], snapshot)
    if not version:
        # What a release does not require is not installed with it; what it requires loosely may be any version.
        unpinned = keys["of"] not in snapshot.pins
        return PredicateAnswer(
            False if unpinned else None, f"pins {'no' if unpinned else 'no single version of'} {keys['of']}"
        )
    wheel: KernelWheel | None = wheel_for(release_id(keys["of"], version), held.kernels)
    if wheel is None:
        return PredicateAnswer(
            None, f"the kernels of {keys['of']} {version} were not read: snapshot --kernels {keys['of']}=={version}"
        )
    names = [n for n in wheel.sources.get(f"sm{keys['sm']}", ()) if fnmatchcase(n, keys["named"])]
    seen = names[0] if names else f"no {keys['named']} for sm{keys['sm']}"
    return PredicateAnswer(bool(names), f"{keys['of']} {version}: {seen}")


def _compiled(keys: Keys, snapshot: Snapshot, held: HeldWheels) -> PredicateAnswer:
    """Machine code or PTX that the GPU runs, in a library of the release's wheels."""
    found = {
        path: library
        for wheel in read_wheels(snapshot, held.kernels)
        for path, library in wheel.libraries.items()
        if fnmatchcase(path, keys["library"])
    }
    if not found:
        read = [wheel.wheel for wheel in read_wheels(snapshot, held.kernels)]
        return PredicateAnswer(
            False if read else None, f"no {keys['library']} in {', '.join(read) or 'any wheel that was read'}"
        )
    able = [path for path, library in found.items() if library.runs_on(keys["sm"])]
    # One library that runs there is enough: wheels hold builds for other GPUs or CUDA versions beside it.
    shown = able or list(found)
    return PredicateAnswer(bool(able), f"{shown[0]} has {found[shown[0]]}")


def _text(keys: Keys, snapshot: Snapshot, held: HeldWheels) -> PredicateAnswer:
    of = keys.get("of")
    asked: Snapshot | None = snapshot
    if of:
        version = _pinned_version(of, snapshot)
        asked = snapshot_for(release_id(of, version), held.snapshots) if version else None
        if asked is None:
            return PredicateAnswer(None, f"{of} {version or 'as pinned'} was not read")
    assert asked is not None
    key = probe_key(keys)
    if key not in asked.probes:
        why = f"not asked yet: glm-matrix snapshot {asked.engine}=={asked.version}"
        return PredicateAnswer(None, why if asked.complete else "the release itself was not read")
    # Three states: no entry was never asked, an empty one was asked and not found, else where it was found.
    place = asked.probes[key]
    return PredicateAnswer(bool(place), place or f"{keys['in']} has no {keys['matches']}")


def _file(keys: Keys, snapshot: Snapshot, _: HeldWheels) -> PredicateAnswer:
    key = f"{keys['path']} sha256"
    if key not in snapshot.probes:
        return PredicateAnswer(None, f"not asked yet: glm-matrix snapshot {snapshot.engine}=={snapshot.version}")
    found = snapshot.probes[key]
    return PredicateAnswer(found == keys["sha256"], f"{keys['path']} is {found[:12] or 'absent'}")


def _guard(keys: Keys, snapshot: Snapshot, held: HeldWheels) -> PredicateAnswer:
    """Find a guard of the argument code by its words."""
    found = read_guards(snapshot.engine, held.guards).held_by(snapshot.version)
    if found is None:
        return PredicateAnswer(
            None, f"its guards were not read: glm-matrix snapshot --texts {snapshot.engine}=={snapshot.version}"
        )
    # A part of its words: releases reword the rest of a message and keep the refusal.
    hit = next((guard for guard in found if keys["says"] in guard.says), None)
    return PredicateAnswer(hit is not None, f"{hit.at}: {hit.says}" if hit else f"no guard says {keys['says']!r}")


def _registers_parser(keys: Keys, snapshot: Snapshot, _: HeldWheels) -> PredicateAnswer:
    """Whether the release has a parser of that name, or one for that model where it has none by name."""
    kind, name = keys["kind"], keys["name"]
    found = snapshot.parsers.get(kind, ())
    where = snapshot.facts.get("parsers", snapshot.source)
    # as with architectures: what was found is there however little was read, only absence asks for the whole
    if name in found:
        return PredicateAnswer(True, f"{where} has {name}")
    return _unread(snapshot, "parsers") or PredicateAnswer(False, f"{where} has {', '.join(found) or 'none'}")


def _parses(keys: Keys, snapshot: Snapshot, _: HeldWheels) -> PredicateAnswer:
    """Whether the release's own parsers, run over the corpus, made this fault of this reply."""
    # Here and not above: the corpus is judged anew in each process, and few facts ask for it.
    from matrix.parsers.findings import list_wrongs
    from matrix.parsers.record import load_answers

    asked = (keys["pair"], keys["case"])
    ran = any((a.pair, a.case) == asked and snapshot.release in a.releases for a in load_answers())
    if not ran:
        return PredicateAnswer(None, f"its parsers {keys['pair']} were not run over {keys['case']}")
    made = {w.kind: w.what for w in list_wrongs() if (w.release, w.pair, w.case) == (snapshot.release, *asked)}
    found = made.get(keys["fault"])
    return PredicateAnswer(found is not None, found or f"{keys['pair']} makes no {keys['fault']} of {keys['case']}")


PREDICATES: Final[Mapping[str, Callable[[Keys, Snapshot, HeldWheels], PredicateAnswer]]] = {
    "registers": _registers,
    "registers_parser": _registers_parser,
    "chooses": _chooses,
    "reads_key": _reads_key,
    "reads_env": _reads_env,
    "has_flag": _has_flag,
    "pins": _pins,
    "kernel_source": _kernel_source,
    "compiled": _compiled,
    "text": _text,
    "file": _file,
    "guard": _guard,
    "parses": _parses,
}
