"""The user's folders: below the home, or where the XDG variables name them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from matrix import variables

OWN: Final = "glm-matrix"  # our folder below the user's


def list_user_caches(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """List the user's folders for what can be made again, whether or not they can be written."""
    return list(list_homes(environment.get(variables.XDG_CACHE_HOME.name, ""), ".cache"))


def find_home() -> Path | None:
    """Return the user's home; None where neither HOME nor the host's list of users names one."""
    with suppress(RuntimeError):
        return Path.home()
    return None


def list_homes(named: str, below_home: str) -> Iterator[Path]:
    """Yield the places in their order. The XDG specification has relative paths ignored."""
    if Path(named).is_absolute():
        yield Path(named) / OWN
    if home := find_home():
        yield home / below_home / OWN
