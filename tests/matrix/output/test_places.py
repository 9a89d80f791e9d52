"""Where files go when nobody names a place: here, the user's folders, the temporary directory, in that order."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest

from matrix import homes, variables
from matrix.checkout import CHECKOUT
from matrix.errors import HostError
from matrix.output import places, user_directory

STATE, CACHE = variables.XDG_STATE_HOME.name, variables.XDG_CACHE_HOME.name


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty working directory, with a home and a temporary directory beside it."""
    for name in ("here", "home", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (STATE, CACHE, variables.CACHE.name):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    return tmp_path / "home"


def deny(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Have the system say that these folders cannot be written: root may write all that modes forbid."""

    def access(path: Any, mode: int) -> bool:
        return not any(Path(path).absolute().is_relative_to(folder) for folder in folders)

    monkeypatch.setattr(os, "access", access)


def test_a_folder_that_can_be_written_has_the_evidence_and_its_logs(home: Path) -> None:
    assert places.locate_evidence() == Path("reports/out/evidence.jsonl")
    assert places.locate_logs(places.locate_evidence()) == Path("reports/out/logs")
    assert not list(Path().iterdir()), "a place is named, not made"


def test_a_folder_that_cannot_be_written_leaves_it_to_the_user(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deny(monkeypatch, Path.cwd(), CHECKOUT)
    assert places.locate_out() == home / ".local/state/glm-matrix/out"
    assert places.locate_cache() == home / ".cache/glm-matrix"
    monkeypatch.setenv(STATE, str(home / "state"))
    monkeypatch.setenv(CACHE, "relative/as/nobody/should")
    assert places.locate_out() == home / "state/glm-matrix/out"
    assert places.locate_cache() == home / ".cache/glm-matrix", "relative paths are ignored, as XDG says"


def test_a_checkout_that_can_be_written_keeps_its_cache_and_a_named_one_comes_first(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert places.locate_cache() == CHECKOUT / ".cache"
    monkeypatch.setenv(variables.CACHE.name, "some/where")
    assert places.locate_cache() == CHECKOUT / "some/where", "an engine runs in the checkout: the same for both"


def test_a_home_that_cannot_be_written_leaves_it_to_a_folder_of_this_user_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(monkeypatch, Path.cwd(), home)
    own = home.parent / "tmp" / f"glm-matrix-{os.getuid()}"
    assert places.locate_out() == own / "state/out"
    assert stat.S_IMODE(own.stat().st_mode) == 0o700


def test_a_user_without_a_home_has_a_place_and_a_tilde_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)
    monkeypatch.setattr(Path, "expanduser", lambda _: fail())
    assert places.locate_user_cache().is_relative_to(home.parent / "tmp") and homes.list_user_caches() == []
    with pytest.raises(HostError, match=r"~/w: .*set HOME"):
        places.expand_home("~/w")


def test_a_report_reads_what_a_run_wrote_and_else_what_lies_here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("reports/out").mkdir(parents=True)
    here = Path("reports/out/evidence.jsonl")
    here.write_text("somebody else's")
    deny(monkeypatch, Path.cwd())
    assert places.find_evidence() == here
    own = places.locate_evidence()
    own.parent.mkdir(parents=True)
    own.write_text("this user's")
    assert places.find_evidence() == own


def test_a_file_in_the_way_is_no_place(home: Path) -> None:
    Path("reports").write_text("")
    assert places.locate_out() == home / ".local/state/glm-matrix/out"


def test_without_any_temporary_directory_the_name_is_for_the_message(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    monkeypatch.setenv("TMPDIR", str(home / "none"))
    assert user_directory.locate_user_directory().parent == home / "none"
    with pytest.raises(HostError, match="set TMPDIR"):
        user_directory.make_user_directory()
