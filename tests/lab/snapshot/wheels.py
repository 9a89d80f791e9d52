"""Wheels for the tests that read a real one, downloaded once into the checkout's cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.snapshot.wheel import download_wheel
from matrix.checkout import CHECKOUT
from matrix.errors import HostError

CACHE = CHECKOUT / ".cache" / "wheels"


def sglang_0_5_10_wheel() -> Path:
    """sglang 0.5.10.post1 (6 MB), the release the exclusion patches are for."""
    return cached_wheel("sglang==0.5.10.post1")


def cached_wheel(requirement: str) -> Path:
    """Return the wheel of `name==version`; skip the test where the package index does not give it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        with download_wheel(requirement, CACHE) as path:
            return path
    except HostError as error:
        pytest.skip(f"needs the wheel of {requirement}, and the package index did not give it: {error}")
