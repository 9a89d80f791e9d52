"""Locks that build on each other: one that lacks what it builds on installs an environment whose tests cannot start."""

from __future__ import annotations

import re
from pathlib import Path

from ci.sbom import LOCKS, PINNED
from matrix.checkout import CHECKOUT


def read_pins(lock: Path) -> dict[str, str]:
    return {m["name"]: m["version"] for m in PINNED.finditer(lock.read_text(encoding="utf-8"))}


def test_a_lock_pins_all_that_it_builds_on_and_alike() -> None:
    built = {
        (source, base)
        for source in LOCKS.glob("*.in")
        for base in re.findall(r"^-r (\w+)\.in$", source.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(built) > 1
    for source, base in built:
        missing = read_pins(LOCKS / f"{base}.lock").items() - read_pins(source.with_suffix(".lock")).items()
        assert not missing, f"{source.stem}.lock is older than {base}.lock (make lock)"


def test_make_lock_renews_every_lock() -> None:
    recipe = (CHECKOUT / "Makefile").read_text(encoding="utf-8").partition("\nlock:")[2].partition("\n\n")[0]
    locks = [lock.stem for lock in LOCKS.glob("*.lock")]
    assert [name for name in locks if not re.search(rf"\b{name}\b", recipe)] == []
