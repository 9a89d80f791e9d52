"""What anybody may put into a directory that everybody can write to stops no launch, and nothing of it is removed."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path

import pytest

from fixtures.host.lease import Leases
from fixtures.host.locks import Locks
from fixtures.host.model import FoundHost
from fixtures.launch.process import session_files as records
from fixtures.session.reap import Reaper
from fixtures.weights.overlay import locate_overlays, make_scratch, overlay_checkpoint
from matrix.errors import HostError
from matrix.output.user_directory import locate_user_directory, make_user_directory
from tests.fixtures.host.lease_worker import invented, rig
from tests.fixtures.launch import plans
from tests.fixtures.session.test_reap import no_docker

KINDS = ("directory", "file", "link", "dangling link", "pipe", "unreadable", "full directory")
OLD_STYLE = (
    "glm-matrix-overlay-12abc-x",
    "glm-matrix-overlay-1²-x",
    "glm-matrix-overlay-1\n2-x",
    "glm-matrix-overlay--",
)
STRANGER = 65534  # another uid


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    monkeypatch.delenv("GLM_MATRIX_RECORDS", raising=False)
    return directory


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"GLM_MATRIX_LOCKS": str(tmp_path / "locks"), "GLM_MATRIX_RECORDS": str(tmp_path / "records")}


@pytest.fixture
def reaper(environment: dict[str, str], temporary: Path) -> Reaper:
    return Reaper(environment=environment, temporary=temporary, connect=no_docker)


def put_hostile(path: Path, kind: str, precious: Path) -> None:
    """Something that is not what its name promises."""
    match kind:
        case "directory":
            path.mkdir()
        case "full directory":
            path.mkdir()
            (path / "in").write_text("kept")
        case "link":
            path.symlink_to(precious)
        case "dangling link":
            path.symlink_to(precious / "nowhere")
        case "pipe":
            os.mkfifo(path)
        case "unreadable":
            path.mkdir(mode=0)
        case _:
            path.write_text('{"since": 1e999, "pid": [')


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    directory = tmp_path / "precious"
    directory.mkdir()
    (directory / "weights").write_text("kept")
    return directory


def launch_once(tmp_path: Path) -> None:
    """Write what every launch of a process needs on disk."""
    checkpoint = plans.weights(tmp_path / "checkpoint")
    with overlay_checkpoint(checkpoint, {"config.json": {"a": 1}}) as made, make_scratch() as directory:
        assert made.path.is_dir() and directory.is_dir()


@pytest.mark.parametrize("kind", KINDS)
def test_names_like_ours_in_the_temporary_directory_are_not_even_looked_at(
    tmp_path: Path, temporary: Path, reaper: Reaper, precious: Path, kind: str
) -> None:
    for name in OLD_STYLE:
        put_hostile(temporary / name, kind, precious)
    launch_once(tmp_path)
    assert reaper.reap_all() == []
    launch_once(tmp_path)
    assert all(os.path.lexists(temporary / name) for name in OLD_STYLE)
    assert (precious / "weights").read_text() == "kept"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*OLD_STYLE, "0" * 16, "².lock", "x.lock", f"{'1' * 16}.lock", "-rf", "\udcff"])
def test_what_makes_no_sense_among_the_overlays_is_left_alone(
    tmp_path: Path, reaper: Reaper, precious: Path, kind: str, name: str
) -> None:
    make_user_directory()
    locate_overlays().mkdir(mode=0o700)
    put_hostile(locate_overlays() / name, kind, precious)
    launch_once(tmp_path)
    for item in reaper.reap_all():
        assert item.outcome == "left alone" and str(item).isprintable()
    assert os.path.lexists(locate_overlays() / name) and (precious / "weights").read_text() == "kept"


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_overlay_in_whose_place_something_else_lies_is_left_alone(
    tmp_path: Path, reaper: Reaper, precious: Path, kind: str
) -> None:
    """Its lock file is sound, and nobody holds it."""
    make_user_directory()
    locate_overlays().mkdir(mode=0o700)
    lock = Locks(locate_overlays(), shared=False).take("0" * 16)
    assert lock is not None
    lock.release(keep_file=True)
    put_hostile(locate_overlays() / ("0" * 16), kind, precious)
    launch_once(tmp_path)
    reaper.reap_all()
    assert (precious / "weights").read_text() == "kept"
    if "directory" not in kind and kind != "unreadable":
        assert os.path.lexists(locate_overlays() / ("0" * 16))


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "pipe", "open", "somebody's"])
def test_a_squatted_user_directory_is_refused_with_the_remedy(
    tmp_path: Path, reaper: Reaper, precious: Path, kind: str
) -> None:
    path = locate_user_directory()
    if kind == "open":
        path.mkdir()
        path.chmod(0o777)
    elif kind == "somebody's":
        path.mkdir(mode=0o700)
        chown_away(path)
    else:
        put_hostile(path, kind, precious)
    with pytest.raises(HostError, match=r"only a directory of your own is used: .*or set TMPDIR"):
        launch_once(tmp_path)
    assert {item.outcome for item in reaper.reap_all()} <= {"left alone"}
    assert [p.name for p in precious.iterdir()] == ["weights"]


def chown_away(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, STRANGER, STRANGER)


def test_the_user_directory_is_this_users_alone() -> None:
    path = make_user_directory()
    assert stat.S_IMODE(path.stat().st_mode) == 0o700 and path.name == f"glm-matrix-{os.getuid()}"


RECORD = f"{'0' * 32}{records.SUFFIX}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [RECORD, f"1-2{records.SUFFIX}", "\n", f"{'0' * 32}.lock", f"{'0' * 32}.engine.part"])
def test_what_makes_no_sense_among_the_records_is_left_alone(
    reaper: Reaper, environment: dict[str, str], precious: Path, kind: str, name: str
) -> None:
    folder = records.locate_records(environment)
    folder.mkdir()
    put_hostile(folder / name, kind, precious)
    record = records.write_record(os.getpid(), "x", "f" * 32, folder)
    found = {item.outcome for item in reaper.reap_all()}
    assert found <= {"left alone", "spared"} and record.path.exists() and (precious / "weights").read_text() == "kept"


TEXTS = ["", "{", "[]", '{"owner": 1}', '{"owner": {}, "leader": {}, "what": ""}', "[" * 9000, '{"owner": []}']


@pytest.mark.parametrize("text", TEXTS)
def test_a_record_that_makes_no_sense_is_told_and_left_alone(
    reaper: Reaper, environment: dict[str, str], text: str
) -> None:
    folder = records.locate_records(environment)
    folder.mkdir()
    (folder / RECORD).write_text(text)
    (found,) = reaper.reap_processes()
    assert found.outcome == "left alone" and found.name.endswith(RECORD) and (folder / RECORD).read_text() == text


def test_a_record_that_another_user_wrote_kills_nobody(reaper: Reaper, environment: dict[str, str]) -> None:
    record = records.write_record(os.getpid(), "x", "0" * 32, records.locate_records(environment))
    chown_away(record.path)
    assert [item.outcome for item in reaper.reap_processes()] == ["left alone"]


def test_records_in_a_folder_that_others_can_write_to_are_not_believed(
    reaper: Reaper, environment: dict[str, str]
) -> None:
    record = records.write_record(os.getpid(), "x", "0" * 32, records.locate_records(environment))
    record.path.parent.chmod(0o777)
    (found,) = reaper.reap_processes()
    assert found.outcome == "left alone" and "chmod 700" in found.why
    with pytest.raises(HostError, match="chmod 700"):
        records.write_record(os.getpid(), "x", "1" * 32, records.locate_records(environment))


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_lock_costs_its_gpu_and_no_other(tmp_path: Path, precious: Path, kind: str) -> None:
    locks = Locks(tmp_path / "locks")
    put_hostile(locks.ready() / "gpu-GPU-0.lock", kind, precious)
    leases = Leases(locks=locks, look=invented)
    with leases.gpus(rig(2)) as gpus:
        assert {g.uuid for g in gpus} == {"GPU-0", "GPU-1"} if kind == "file" else {"GPU-1", "GPU-2"}
    if kind != "file":
        with pytest.raises(HostError, match=r"GPU 0 \(GPU-0\): .*gpu-GPU-0.lock"), leases.gpus(rig(4)):
            pass


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_note_of_a_gpu_says_nothing_and_stops_nothing(tmp_path: Path, precious: Path, kind: str) -> None:
    locks = Locks(tmp_path / "locks")
    put_hostile(locks.ready() / "gpu-GPU-0.quarantine", kind, precious)
    leases = Leases(locks=locks, look=invented, release_s=0)
    assert leases.quarantined() == {"GPU-0": "no reason readable"}
    with leases.gpus(rig(4)):
        pass
    assert (precious / "weights").read_text() == "kept"


def test_a_quarantine_is_not_written_through_a_link(tmp_path: Path, precious: Path) -> None:
    locks = Locks(tmp_path / "locks")
    states = [invented(1), invented(1), FoundHost(gpus=())]
    leases = Leases(locks=locks, look=lambda: states.pop(0) if len(states) > 1 else states[0], release_s=0)
    with leases.gpus(rig(1)):
        (locks.directory / "gpu-GPU-0.quarantine").symlink_to(precious / "weights")
    assert (precious / "weights").read_text() == "kept"


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "file"])
def test_a_hostile_port_lock_costs_that_port(
    tmp_path: Path, precious: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = iter([4711, 4711, 4712])
    monkeypatch.setattr("fixtures.host.lease._unbound_port", lambda: next(ports))
    locks = Locks(tmp_path / "locks")
    put_hostile(locks.ready() / "port-4711.lock", kind, precious)
    with Leases(locks=locks).port() as port:
        assert port == 4712


@pytest.mark.parametrize(
    "note",
    [{"since": "x"}, {"since": 1e300}, {"since": -1}, {"since": None}, {"user": "\x1b[31m"}, {"what": ["\n" * 999]}],
)
def test_a_strangers_note_is_shown_defused(tmp_path: Path, note: dict[str, object]) -> None:
    locks = Locks(tmp_path)
    lock = locks.take("a", "x")
    assert lock is not None
    lock.path.write_text(json.dumps({**json.loads(lock.path.read_text()), **note}))
    shown = locks.holder("a")
    assert shown.isprintable() and len(shown) < 500 and f"pid {os.getpid()}" in shown
    lock.release()
