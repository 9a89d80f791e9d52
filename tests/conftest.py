"""Settings of this project's own tests: a busy machine is no failure, and the same commit gives the same answer."""

from __future__ import annotations

from functools import cache

from tests.interrupt import restore_interrupt


def pytest_configure() -> None:
    restore_interrupt()


def pytest_collect_file() -> None:
    """Load the profile with this folder's first file: pytest reads this conftest in each run that names no path."""
    _load_profile()


@cache
def _load_profile() -> None:
    from hypothesis import settings  # a tenth of what `pytest -m sm120 --collect-only` took

    settings.register_profile("project", deadline=None, derandomize=True)
    settings.load_profile("project")
