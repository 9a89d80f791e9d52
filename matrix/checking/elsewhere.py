"""In which other releases of an engine a word is known that this one does not have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

from packaging.version import Version

from matrix.checking.releases import TITLES, list_versions
from matrix.preflight.snapshot import Snapshot, snapshot_for

# Kind of a remark -> whether a release has what it misses.
HAS: Final[Mapping[str, Callable[[Snapshot, str], bool]]] = {
    "unknown_flag": lambda snapshot, name: name in snapshot.options,
    "env_unread": lambda snapshot, name: name in snapshot.env,
    "architecture": lambda snapshot, name: name in snapshot.architectures,
}
PARTS: Final = {"unknown_flag": "flags", "env_unread": "env", "architecture": "architectures"}


def say_where(kind: str, name: str, snapshot: Snapshot) -> str:
    """Return which other releases have it, seen from this one: the first later one, else the last before; else ""."""
    has = HAS.get(kind)
    known = list_versions(snapshot.engine)
    if has is None or snapshot.fork or not known:
        return ""
    asked, title = Version(snapshot.version), TITLES[snapshot.engine]
    read = [(version, found) for version, stem in known if (found := snapshot_for(stem)) is not None]
    # what nobody read has perhaps had it long before
    gaps = any(not found.knows(PARTS[kind]) for version, found in read if version > asked)
    having = [version for version, found in read if has(found, name)]
    later = [version for version in having if version > asked]
    if later:
        return f"{title} {later[0]} is the first release {'of those read ' if gaps else ''}that has it."
    if not having:
        return ""
    lost = next((after for (before, _), (after, _) in pairwise(read) if before == having[-1]), None)
    return f"{title} {having[-1]} is the last release that has it" + (f"; it is gone from {lost} on." if lost else ".")
