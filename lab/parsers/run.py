"""Runs one release: its wheel, its environment, all pairs of parsers over all cases, and what is recorded of it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.parsers.environment import LIGHT, make_environment, run_worker, versions_in
from lab.parsers.imports import LIBRARIES, PACKAGES, REAL
from lab.parsers.release import Unpacked, pins_of, unpack_wheel, verify_modules
from lab.parsers.sources import unpack_source
from lab.parsers.suites import PAIRS
from lab.snapshot.stub import PACKAGES as STUBS
from lab.snapshot.wheel import download_wheel
from matrix.errors import HostError, suggest_nearest
from matrix.parsers.corpus import Corpus, load_corpus
from matrix.parsers.record import ParserRun
from matrix.parsers.render import MARKERS
from matrix.parsers.sources import load_sources
from matrix.preflight.snapshot import release_id


def run_release(requirement: str, wheel: Path | None = None) -> ParserRun:
    """Run a release's parsers; its wheel is downloaded and deleted afterwards, unless it is given.

    Where the package on the index has no code, the files are those that sources.yaml pins, fetched or of a checkout.

    Raises:
        HostError: no such engine, no wheel, an environment that cannot be made, a module that cannot be imported.
    """
    engine, _, version = requirement.partition("==")
    if engine not in PAIRS or not version:
        raise HostError(
            f"expected NAME==VERSION of {' or '.join(PAIRS)}, got {requirement!r}{suggest_nearest(engine, PAIRS)}"
        )
    source = load_sources().get(release_id(engine, version))
    with tempfile.TemporaryDirectory(prefix="parsers-") as folder:
        if source is not None:
            return run_unpacked(engine, version, unpack_source(source, version, Path(folder), wheel))
        if engine in STUBS:
            raise HostError(
                f"the package of {requirement} on the index has no code, and sources.yaml pins no files of it"
            )
        if wheel is not None:
            return run_unpacked(engine, version, unpack_wheel(wheel, Path(folder)))
        with download_wheel(requirement) as path:
            unpacked = unpack_wheel(path, Path(folder))
        return run_unpacked(engine, version, unpacked)


def run_unpacked(engine: str, version: str, unpacked: Unpacked) -> ParserRun:
    """Run the parsers of an unpacked wheel; the files that ran are held against its RECORD afterwards."""
    # at the release's own pins: a parser's answer depends on its regex and JSON libraries
    python = make_environment(pins_of(unpacked, LIGHT))
    corpus = load_corpus()
    job = {
        "package": PACKAGES.get(engine, engine),
        "root": str(unpacked.root),
        "real": REAL[engine],
        "libraries": LIBRARIES,
    }
    answer = run_worker(python, {**job, "tools": corpus.tools, "suites": write_suites(engine, corpus)})
    verified = verify_modules(unpacked, answer["modules"].values())
    release = {
        "engine": engine,
        "version": version,
        "wheel": unpacked.wheel,
        "sha256": unpacked.sha256,
        "ran": time.strftime("%Y-%m-%d", time.gmtime()),
        "files_as_in_record": verified,
        "stand_ins": sorted(set(answer["standins"])),
        "libraries": versions_in(python),
    }
    return ParserRun(release_id(engine, version), release, answer["suites"])


def write_suites(engine: str, corpus: Corpus, only: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return what the worker is asked, as JSON values."""
    return [
        {
            "parser": pair.name,
            "tool": pair.tool,
            "reasoning": pair.reasoning,
            "markers": list(MARKERS[pair.format]),
            "cases": [
                {"id": case.id, "reply": case.reply, "thinks": case.thinks, "finished": case.finished}
                for case in corpus.list_cases(pair.format)
                if not only or case.id in only
            ],
        }
        for pair in PAIRS[engine]
    ]
