"""A pytest plugin (`-p tests.suites.stub_launches`): the cells' engines are stubs, one for each launch.

GLM_TEST_LAUNCHES has a word for each: its defect, `-` for a healthy one, `exits` for one that does not come up,
`dies_N` for one that ends by itself after N requests. It imports late: `-p` is read before pytest can rewrite the
assertions of the project's own plugins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fixtures.client.exchange import Access
    from fixtures.launch.running import Running
    from fixtures.traffic.spec import LoadSpec
    from matrix.planning.plan import Plan
    from tests.faults.stub.engine import StubEngine

DIES = "dies_"
ITL_S = 0.01  # a healthy stub's; `slow_decode` adds 0.02


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    from fixtures.client.exchange import PLAIN
    from fixtures.session.plugin import POOL
    from fixtures.session.pool import EnginePool
    from suites.measure import loads

    # A client on a busy host judges no speed (tests/suites/measure/test_loads.py); here what follows from a verdict is
    # tested.
    measure = loads.run_load  # type: ignore[attr-defined]

    def fit(spec: LoadSpec, api_key: str | None = None, access: Access = PLAIN) -> dict[str, Any]:
        return {**measure(spec, api_key, access), "client_fit": True}

    loads.run_load = fit  # type: ignore[attr-defined]
    defects = iter(os.environ["GLM_TEST_LAUNCHES"].split())
    attached = bool(os.environ.get("GLM_TEST_ATTACHED"))
    relaunches = not config.option.no_relaunch
    config.stash[POOL] = EnginePool(lambda plan: _stub(plan, next(defects), attached), relaunches=relaunches)


@contextmanager
def _stub(plan: Plan, defect: str, attached: bool) -> Iterator[Running]:
    from fixtures.launch.running import Running
    from matrix.errors import EngineExited
    from tests.faults.stub.engine import MODEL, Pace, StubEngine

    if defect == "exits":
        raise EngineExited("the engine exited with 1")
    most = int(defect.removeprefix(DIES)) if defect.startswith(DIES) else None
    healthy = defect == "-" or most is not None
    with StubEngine(defect=None if healthy else defect, pace=Pace(itl_s=ITL_S)) as stub:
        witness = None if most is None else Mortal(stub, most)
        yield Running(
            base_url=stub.base_url,
            model=MODEL,
            api_key=stub.api_key,
            stub=True,
            attached=attached,
            witness=witness,
            notes=(f"stub {defect}",) if witness else (),
        )


@dataclass(frozen=True)
class Mortal:
    """The witness of a stub that has ended after so many requests."""

    stub: StubEngine
    most: int

    def require_alive(self) -> None:
        from matrix.errors import EngineExited

        if self.stub.requests >= self.most:
            raise EngineExited("RuntimeError: no kernel left\nthe engine ended by itself with 9")
