"""Finds the version of an engine among what it tells of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def find_version(engine: str, versions: Mapping[str, Any]) -> str:
    """Return the version under the engine's name, under `version`, or under a name that contains the engine's, as
    `xllamacpp` and `llama.cpp` do; empty where there is none."""
    alike = (name for name in sorted(versions) if engine and engine in re.sub(r"[^a-z0-9_]", "", name.lower()))
    names = (engine, "version", *alike)
    return next((str(versions[name]) for name in names if versions.get(name)), "")
