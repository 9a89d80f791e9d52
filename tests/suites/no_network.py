"""A pytest plugin (`-p tests.suites.no_network`): whoever opens a connection or starts an engine is stopped."""

from __future__ import annotations

import sys
from typing import Any

import pytest

FORBIDDEN = ("socket.connect", "socket.bind", "socket.getaddrinfo")
ALLOWED = ("git",)  # which commit this is


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in FORBIDDEN or (event == "subprocess.Popen" and str(arguments[0]) not in ALLOWED):
        raise RuntimeError(f"{event}: {arguments!r}"[:200])


@pytest.hookimpl(trylast=True)
def pytest_sessionstart() -> None:
    sys.addaudithook(_refuse)
