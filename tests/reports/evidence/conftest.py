"""The run that the tests of the plugin's parts look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reports.evidence.small_run import TESTS, start


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """One run of TESTS with these options (`small_run.both`): the folder with its evidence, JUnit and `out`."""
    where = tmp_path_factory.mktemp("run")
    out, _ = start(where, TESTS, request.param).communicate()
    (where / "out").write_text(out)
    return where
