"""Which release has a pull request: by the notes that list it, by dates, or nobody can tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.errors import ConfigError
from matrix.facts.evaluate import judge_fact
from matrix.facts.merges import MERGES, has_pull, load_merges
from matrix.facts.model import Fact, load_facts
from matrix.preflight.snapshot import Snapshot

TOY = """
merges:
  - engine: toy
    line: ">=1.0rc1"
    source: notes
    read: 2026-11-30
    published: {1.0rc1: 2026-01-10, 1.0rc2: 2026-02-10, 1.0rc3: 2026-03-10}
    opened: {1.0rc2: 2026-01-05, 1.0rc3: 2026-02-05, 1.0rc4: 2026-03-05}
    pulls:
      - {pull: 1, brought: it, listed: 1.0rc2}
      - {pull: 2, brought: that, merged: 2026-02-07}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "merges.yaml"
    file.write_text(TOY, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("pull", "version", "holds"),
    [
        (1, "1.0rc1", False),
        (1, "1.0rc2", True),
        (1, "1.0rc2.post1", True),
        (2, "1.0rc1", False),  # published before the merge
        (2, "1.0rc2", None),  # published after it, and cut nobody knows when
        (2, "1.0rc3", None),  # opened before it, so its first commits lack it
        (2, "1.0rc4", True),
        (2, "1.1", True),
        (2, "0.9", None),  # a branch
        (3, "1.0rc4", None),  # nobody wrote it down
    ],
)
def test_notes_and_dates_decide(pull: int, version: str, holds: bool | None, path: Path) -> None:
    assert has_pull("toy", pull, version, path)[0] is holds


def test_the_day_of_the_merge_tells_nothing(path: Path) -> None:
    path.write_text(TOY.replace("merged: 2026-02-07", "merged: 2026-03-05"), encoding="utf-8")
    assert [has_pull("toy", 2, v, path)[0] for v in ("1.0rc2", "1.0rc3", "1.0rc4")] == [False, None, None]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("listed: 1.0rc2", "listed: 1.0rc2, merged: 2026-02-07", "expected either listed"),
        (", listed: 1.0rc2", "", "expected either listed"),
        ("1.0rc4: 2026-03-05", "soon: 2026-03-05", "'soon' is no version"),
        ("merges:", "merge:", "expected one key 'merges'"),
        ("brought: it", "brings: it", "brought"),
    ],
)
def test_a_fault_of_the_file_is_named(old: str, new: str, says: str, path: Path) -> None:
    path.write_text(TOY.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=says):
        load_merges(path)


def test_what_was_read_of_a_release_decides_before_any_date() -> None:
    fact = Fact(
        id="f", says="s", engine="trtllm", source="x", merged=12657, all=({"registers": {"architecture": "A"}},)
    )
    read = Snapshot(release="r", engine="trtllm", version="1.3.0rc15", source="w")
    assert judge_fact(fact, read, {}).why == "registers no A"
    unread = Snapshot(release="r", engine="trtllm", version="1.3.0rc15", source="w", complete=False)
    assert judge_fact(fact, unread, {}).holds is True
    assert "12657" in judge_fact(fact, unread, {}).why


def test_every_pull_request_that_a_fact_names_has_a_row_and_each_row_a_fact() -> None:
    named = {(fact.engine, fact.merged) for fact in load_facts().values() if fact.merged}
    assert named == {(engine, p.pull) for engine, found in load_merges(MERGES).items() for p in found.pulls}
