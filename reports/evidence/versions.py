"""Finds the version of an engine among what it tells of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def find_version(engine: str, versions: Mapping[str, Any]) -> str:
    """Return the version under the engine's name, under `version`, or under a name that contains the engine's, as
    `xllamacpp` does; empty where there is none."""
    names = (engine, "version", *(name for name in sorted(versions) if engine and engine in name))
    return next((str(versions[name]) for name in names if versions.get(name)), "")
