"""What took the place of former options is named, and none of them is an option of a release that is read."""

from __future__ import annotations

import pytest

from matrix.checking.parser_findings import read_former_flags
from matrix.preflight.snapshot import list_releases, snapshot_for

SNAPSHOTS = [snapshot for release in list_releases() if (snapshot := snapshot_for(release)) is not None]


@pytest.mark.parametrize("engine", read_former_flags())
def test_a_former_option_is_gone_and_its_heir_is_there(engine: str) -> None:
    ours = [s for s in SNAPSHOTS if s.engine == engine and not s.fork and s.flags]
    newest = set(ours[-1].options)
    for option, row in read_former_flags()[engine].items():
        assert not any(option in s.options for s in ours), option
        heir = row["write"].partition(" ")[0]
        assert not heir or heir in newest, option
        assert row["source"], option
