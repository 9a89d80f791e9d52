"""Read what the stub on the public index says of a TensorRT-LLM release: its requirements, and nothing else.

The package is 3 to 200 kB of metadata whose build fetches the wheel from its vendor. pip builds what it downloads
as a source, at least its metadata; a stand-in for the stub's build backend answers here, so that nothing is fetched
and no code of the package runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from lab.snapshot.extract import list_requirements
from matrix.errors import HostError
from matrix.preflight.snapshot import Snapshot, release_id, snapshot_for

PACKAGES: Final = {"trtllm": "tensorrt-llm"}  # engines whose package on the index is a stub
BACKEND: Final = "wheel_stub"
MOST_BYTES: Final = 1 << 20  # of PKG-INFO: the largest has 40 kB
TIMEOUT_S: Final = 120
PARTS: Final = ("flags", "file_keys", "env", "architectures", "parsers", "config_keys", "chosen")
WHY: Final = "the package on the index is a stub without code; its wheel lies on the vendor's own index"
STAND_IN: Final = """\
import os, re

def get_requires_for_build_wheel(settings=None):
    return []

def prepare_metadata_for_build_wheel(folder, settings=None):
    head = open("PKG-INFO", encoding="utf-8").read(1 << 16)
    name, version = (re.search(f"^{key}: (.+)$", head, re.M).group(1) for key in ("Name", "Version"))
    made = f"{name.replace('-', '_')}-{version}.dist-info"
    os.makedirs(os.path.join(folder, made))
    for file, text in (("METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"), ("WHEEL", "")):
        open(os.path.join(folder, made, file), "w", encoding="utf-8").write(text)
    return made

def build_wheel(*_):
    raise SystemExit("nothing is built here")
"""


def read_stub(engine: str, version: str) -> Snapshot:
    """Return the pins of a release, with what is known of it besides; every other part is `unread`.

    Raises:
        HostError: the index has no such version, or its package is no stub.
    """
    with tempfile.TemporaryDirectory(prefix="stub-") as folder:
        archive = _download_source(f"{PACKAGES[engine]}=={version}", Path(folder))
        requires = list_requirements(_read_metadata(archive))
        name = archive.name
    known = snapshot_for(release_id(engine, version))
    # a wheel that was read once says more than its stub ever will
    if known is not None and known.complete:
        raise HostError(f"{known.release} was read from {known.source}; its stub says less")
    if known is None or not known.flags:
        known = Snapshot(release=release_id(engine, version), engine=engine, version=version, source=name)
    return with_pins(known, requires, name)


def with_pins(known: Snapshot, requires: tuple[str, ...], stub: str) -> Snapshot:
    """Return a release whose requirements are those of its stub; a stub without any says nothing of them."""
    unread = {part: WHY for part in PARTS if not getattr(known, part)}
    if not requires:
        unread["requires"] = f"{stub} lists none"
    return replace(
        known,
        complete=False,
        requires=requires,
        read=("requires",) if requires else (),
        unread={**unread, **{k: v for k, v in known.unread.items() if k != "requires"}},
        facts={**known.facts, "stub": stub},
    )


def _download_source(requirement: str, folder: Path) -> Path:
    """Download the source archive, with our stand-in where pip asks its build backend for metadata."""
    backend = folder / "stand_in" / BACKEND
    backend.mkdir(parents=True)
    (backend / "__init__.py").write_text("", encoding="utf-8")
    (backend / "buildapi.py").write_text(STAND_IN, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", requirement, "--no-deps", "--no-binary=:all:"]
    # without isolation pip takes the stand-in from PYTHONPATH instead of installing the real backend
    command += ["--no-build-isolation", "--quiet", "--disable-pip-version-check", "--dest", str(folder)]
    env = {**os.environ, "PYTHONPATH": str(backend.parent)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=env)
    except subprocess.TimeoutExpired as error:
        raise HostError(f"pip did not finish downloading {requirement} within {TIMEOUT_S} s") from error
    found = next(iter(sorted(folder.glob("*.tar.gz"))), None)
    if done.returncode or found is None:
        raise HostError(f"pip cannot download the stub of {requirement}:\n{done.stderr.strip()[-600:]}")
    return found


def _read_metadata(archive: Path) -> str:
    """Return the text of PKG-INFO in the archive's own folder.

    Raises:
        HostError: there is none, it is no plain file, or it is too large to be metadata.
    """
    with tarfile.open(archive) as opened:
        # in the archive's own folder: a dependency that is packed inside has a PKG-INFO as well
        members = (m for m in opened if m.isfile() and m.name.count("/") == 1 and m.name.endswith("/PKG-INFO"))
        member = next(members, None)
        file = opened.extractfile(member) if member is not None and member.size <= MOST_BYTES else None
        if file is None:
            raise HostError(f"{archive.name} has no PKG-INFO of at most {MOST_BYTES >> 20} MiB")
        return file.read().decode("utf-8", "replace")
