"""Settings of this project's own tests: a busy machine is no failure, and the same commit gives the same answer."""

from __future__ import annotations

import gc
import os
from functools import cache

from tests.interrupt import restore_interrupt


def pytest_configure() -> None:
    restore_interrupt()
    hide_mutant()


def hide_mutant() -> None:
    """Keep mutmut's variable from the processes that tests start. There its wrappers look for a configuration in the
    working directory and end the process; here they go by a copy of their own."""
    os.environ.pop("MUTANT_UNDER_TEST", None)


def pytest_collect_file() -> None:
    """Prepare with this folder's first file: pytest reads this conftest in each run that names no path."""
    _prepare()


def pytest_collection_finish() -> None:
    """Keep what collection made out of every later search for garbage: 15,000 tests and the matrix all live until the
    end, and looking through them again and again was a fifth of the time."""
    if _prepare.cache_info().currsize:  # not in a run of the suites alone
        gc.collect()
        gc.freeze()


@cache
def _prepare() -> None:
    gc.set_threshold(50_000, 20, 20)  # by default 700: the tests make many objects and little garbage
    from hypothesis import settings  # a tenth of what `pytest -m sm120 --collect-only` took

    settings.register_profile("project", deadline=None, derandomize=True)
    settings.load_profile("project")
