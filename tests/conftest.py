"""Settings of this project's own tests: a busy machine is no failure, and the same commit gives the same answer."""

from __future__ import annotations

from hypothesis import settings

from tests.interrupt import restore_interrupt

settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")


def pytest_configure() -> None:
    restore_interrupt()
