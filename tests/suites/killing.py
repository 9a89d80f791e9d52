"""A pytest plugin (`-p tests.suites.killing`): the engine is killed while the test that GLM_TEST_KILLED_IN names asks.

It imports late: `-p` is read before pytest can rewrite the assertions of the project's own plugins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

WITHIN_S = 20.0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[Any]:
    """Kill what runs below the engine's supervisor, whatever the test finds then."""
    if item.name.startswith(os.environ["GLM_TEST_KILLED_IN"]):
        engine = getattr(item, "funcargs", {})["engine"]
        found = psutil.Process(engine.pid).children(recursive=True)
        for process in found:
            with suppress(psutil.NoSuchProcess):  # the second supervisor ends with what it watches
                process.kill()
        psutil.wait_procs(found, WITHIN_S)
    return (yield)
