"""A first environment fetches uv by itself, where nothing speaks against it: the file that the lock names, or none."""

from __future__ import annotations

import hashlib
import importlib
import platform
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from ci import fetch_uv
from ci.fetch_uv import LeftToPip, choose_index, find_wheel, list_files, list_names, read_pinned, read_settings

LIBC = ("glibc", "2.36")
HERE = f"uv-1.2.3-py3-none-manylinux_2_17_{platform.machine()}.manylinux2014_{platform.machine()}.whl"
OTHERS = (
    "uv-1.2.3-py3-none-macosx_11_0_arm64.whl",
    f"uv-1.2.3-py3-none-musllinux_1_1_{platform.machine()}.whl",
    f"uv-1.2.3-py3-none-manylinux_2_99_{platform.machine()}.whl",
    f"uv-1.2.30-py3-none-manylinux_2_17_{platform.machine()}.whl",
    "uv-1.2.3.tar.gz",
)


class Quiet(SimpleHTTPRequestHandler):
    def log_request(self, code: object = 0, size: object = 0) -> None: ...


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve an index with one uv for this machine among others, and a lock that names it."""
    page = tmp_path / "index" / "simple" / "uv"
    page.mkdir(parents=True)
    (files := tmp_path / "index" / "files").mkdir()
    with zipfile.ZipFile(files / HERE, "w") as wheel:
        wheel.writestr("uv-1.2.3.data/scripts/uv", "#!/bin/sh\n")
    links = (f'<a href="../../files/{n}#sha256={"0" * 64}">{n}</a>' for n in (*OTHERS, HERE))
    (page / "index.html").write_text("\n".join(links))
    monkeypatch.setattr(fetch_uv, "LOCK", tmp_path / "uv.lock")
    monkeypatch.setattr(platform, "libc_ver", lambda: LIBC)
    write_lock(tmp_path, (files / HERE).read_bytes())
    serve = partial(Quiet, directory=str(tmp_path / "index"))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple/"
        server.shutdown()


def write_lock(folder: Path, wheel: bytes) -> None:
    digest = hashlib.sha256(wheel).hexdigest()
    (folder / "uv.lock").write_text(
        f"pip==1 \\\n    --hash=sha256:{'1' * 64}\nuv==1.2.3 \\\n    --hash=sha256:{digest}\n"
    )


def test_the_file_for_this_machine_is_unpacked(index: str, tmp_path: Path) -> None:
    fetch_uv.fetch_uv(tmp_path, {"PIP_INDEX_URL": index, "PIP_CONFIG_FILE": "/dev/null"})
    assert (tmp_path / "uv").read_text() == "#!/bin/sh\n" and (tmp_path / "uv").stat().st_mode & 0o100
    assert (tmp_path / HERE).is_file()


def test_another_file_than_the_locks_is_never_unpacked(index: str, tmp_path: Path) -> None:
    write_lock(tmp_path, b"what the lock was made of")
    with pytest.raises(LeftToPip, match="not what the lock names"):
        fetch_uv.fetch_uv(tmp_path, {"PIP_INDEX_URL": index, "PIP_CONFIG_FILE": "/dev/null"})
    assert not (tmp_path / "uv").exists() and not (tmp_path / HERE).exists()


def test_other_machines_wheels_are_none_for_this_one() -> None:
    page = "".join(f"<a href='/{name}'>" for name in OTHERS)
    with pytest.raises(LeftToPip, match="no wheel"):
        find_wheel(page, "https://index.test/", "1.2.3", list_names("1.2.3", platform.machine(), LIBC))
    with pytest.raises(LeftToPip, match="C library"):
        next(list_names("1.2.3", "x86_64", ("", "")))


@pytest.mark.parametrize("setting", fetch_uv.PIPS_OWN)
def test_what_only_pip_knows_is_left_to_pip(setting: str, tmp_path: Path) -> None:
    with pytest.raises(LeftToPip, match=setting):
        choose_index({}, {setting: "1"})
    (tmp_path / "pip.conf").write_text(f"[global]\n{setting} = 1\n")
    read = read_settings({}, list_files({"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "HOME": str(tmp_path)}))
    assert read[setting] == "1"


def test_a_variable_wins_over_a_file_and_uvs_over_pips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "pip.conf"
    own.write_text("[global]\nindex-url = https://file.test/simple/\n")
    settings = read_settings({}, [own])
    monkeypatch.setattr(fetch_uv, "read_default_index", lambda: "https://default.test/")
    assert choose_index({}, {}) == "https://default.test"
    assert choose_index({}, settings) == "https://file.test/simple"
    assert choose_index({"PIP_INDEX_URL": "https://pip.test"}, settings) == "https://pip.test"
    both = {"PIP_INDEX_URL": "https://pip.test", "UV_DEFAULT_INDEX": "https://uv.test/"}
    assert choose_index(both, settings) == "https://uv.test"


def test_where_nobody_names_an_index_it_is_pips_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_none(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}")

    own = SimpleNamespace(PyPI=SimpleNamespace(simple_url="https://own.test/simple"))
    monkeypatch.setattr(importlib, "import_module", lambda name: own)
    assert choose_index({}, {}) == "https://own.test/simple"
    monkeypatch.setattr(importlib, "import_module", import_none)
    with pytest.raises(LeftToPip, match="No module named 'pip"):
        choose_index({}, {})


def test_a_proxy_and_an_index_without_an_end_are_left_to_pip(
    index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_uv, "MOST_BYTES", 10)
    with pytest.raises(LeftToPip, match="more than 10 bytes"):
        fetch_uv.read_url(index, {})
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with pytest.raises(LeftToPip, match="proxy"):
        fetch_uv.read_url(index, {})


def test_the_projects_lock_is_read() -> None:
    version, digests = read_pinned(fetch_uv.LOCK.read_text())
    assert version[0].isdigit() and len(digests) > 10
