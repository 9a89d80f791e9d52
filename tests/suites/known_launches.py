"""A pytest plugin (`-p tests.suites.known_launches`): what is known of every cell, and launches that fail.

Every cell has the entries below. GLM_TEST_LAUNCHES, where it is set, has a word for each launch: `-` for a healthy
stub, a defect of the stub, or a failure of `_failures`. It imports late, as tests.suites.stub_launches does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fixtures.launch.running import Running
    from matrix.errors import MatrixError
    from matrix.planning.plan import Plan
    from matrix.recorded import KnownFailure
    from matrix.yaml.loaded import Loaded

CAPTURE = "HANG: no new log line for 700 s while awaiting its health endpoint answered (at graphs 3 %)"


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if words := os.environ.get("GLM_TEST_LAUNCHES", "").split():
        from fixtures.session.plugin import POOL
        from fixtures.session.pool import EnginePool

        launches = iter(words)
        config.stash[POOL] = EnginePool(lambda plan: _launch(plan, next(launches)))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    from matrix.collection.plugin import KNOWN
    from matrix.known.failures import KnownOfCell

    yield
    expect: Any = os.environ.get("GLM_TEST_EXPECT", "intermittent")
    for item in items:
        item.stash[KNOWN] = KnownOfCell(entries=entries(expect))


def entries(expect: Any = "intermittent") -> tuple[Loaded[KnownFailure], ...]:
    """Return three entries: a hang in graph capture, a flag refused by preflight, HTTP 500 to a first request."""
    return (
        _entry("hangs_in_capture", expect, how="hang", signature=r"\(at graphs"),
        _entry("is_rejected", "intermittent", how="rejected", signature="--enable-this"),
        _entry("refuses", "intermittent", at="first_request", how="http_status", http_status=500, signature="KV pool"),
    )


def _entry(id_: str, expect: Any, *, at: Any = "before_ready", **fails: Any) -> Loaded[KnownFailure]:
    from matrix.recorded import Fails, KnownFailure
    from matrix.source import Source
    from matrix.yaml.load import NEVER
    from matrix.yaml.loaded import Loaded

    value = KnownFailure(
        id=id_,
        when={},
        fails=Fails(at=at, **fails),
        expect=expect,
        symptom="It does not start.",
        issue="https://example.org/1",
        source=Source(kind="run", release="1"),
        owner="somebody",
        added=date(2026, 1, 1),
        review_by=date(2099, 1, 1),
    )
    return Loaded(value=value, file="known.yaml", line=1, lines={}, condition=NEVER)


def _failures() -> dict[str, MatrixError]:
    from matrix.errors import EngineExited, EngineNotReady, HostError, PlanRejected

    return {
        "capture": EngineNotReady(CAPTURE),
        "loading": EngineNotReady(CAPTURE.replace("graphs", "weights")),
        "exits": EngineExited("the engine exited with 1, before its health endpoint answered (at graphs 3 %)"),
        "rejected": PlanRejected("not started, reject: unknown_flag --no-such-flag"),
        "rejected_as_known": PlanRejected("not started, reject: unknown_flag --enable-this"),
        "host": HostError("no such file (at graphs 3 %)"),
    }


@contextmanager
def _launch(plan: Plan, word: str) -> Iterator[Running]:
    from fixtures.launch.running import Running
    from tests.faults.stub.engine import MODEL, StubEngine

    if error := _failures().get(word):
        raise error
    with StubEngine(defect=None if word == "-" else word) as stub:
        yield Running(base_url=stub.base_url, model=MODEL, api_key=stub.api_key, stub=True)
