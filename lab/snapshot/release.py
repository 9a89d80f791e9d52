"""Add a release: its snapshot, the kernels of its wheel and of the packages that it pins, and its file for the axes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Final

from packaging.version import InvalidVersion, Version

from lab.snapshot import guards, stub
from lab.snapshot.extract import ENGINES, extract_snapshot, own_llamacpp
from lab.snapshot.kernels import kernels_of
from lab.snapshot.probe import run_probes
from lab.snapshot.wheel import download_wheel, read_wheel
from matrix.errors import HostError, suggest_nearest
from matrix.facts.evaluate import judge_fact, releases_of
from matrix.facts.model import load_facts
from matrix.preflight import kernels
from matrix.preflight.guards import read_guards, save_guards
from matrix.preflight.kernels import KERNELS
from matrix.preflight.snapshot import SNAPSHOTS, Snapshot, release_id, save_snapshot, snapshot_for

# Packages with the kernels of a release, in the names under which releases pin them.
KERNEL_PACKAGES: Final = (
    "sglang-kernel",
    "sgl-kernel",
    "sgl-flash-mla",
    "sgl-deep-gemm",
    "flashinfer-python",
    "flashinfer-cubin",
)
WITH_KERNELS: Final = frozenset({"vllm"})  # engines whose own wheel carries compiled kernels
FEWER: Final = 0.6  # of what the release before has: below it, it is written in a way that is not understood
COUNTED: Final = ("flags", "env", "architectures", "requires")
INDEX_TIMEOUT_S: Final = 120


def read_release(engine: str, version: str, wheel: Path | None = None) -> Snapshot:
    """Return the snapshot of a release, from the given wheel or from one that is downloaded and deleted afterwards.

    Raises:
        HostError: no such engine, no wheel for it on the index.
    """
    if engine == "llamacpp":
        return own_llamacpp(version)
    if engine not in ENGINES:
        raise HostError(f"no snapshot can be made of {engine!r}{suggest_nearest(engine, [*ENGINES, 'llamacpp'])}")
    if engine in stub.PACKAGES and wheel is None:
        return stub.read_stub(engine, version)
    with _wheel_of(engine, version, wheel) as path:
        return _read_release(engine, version, path, kernels_too=wheel is None)


def _wheel_of(engine: str, version: str, wheel: Path | None) -> AbstractContextManager[Path]:
    """Return the wheel or checkout at hand, else download one.

    Raises:
        HostError: the index has none that could be read.
    """
    if wheel is not None:
        return nullcontext(wheel)
    if engine in stub.PACKAGES:  # --texts: a stub has none
        raise HostError(f"{engine}=={version}: {stub.WHY}; give that wheel or a checkout of the tag: --wheel PATH")
    return download_wheel(f"{engine}=={version}")


def _read_release(engine: str, version: str, path: Path, *, kernels_too: bool) -> Snapshot:
    if kernels_too and engine in WITH_KERNELS:
        write_kernels(engine, version, path)
    return extract_snapshot(engine, version, read_wheel(path))


def add_release(engine: str, version: str, wheel: Path | None = None, origin: str = "") -> Snapshot:
    """Write the release's snapshot and guards, and every unread package that it pins.

    `origin`: where a wheel or checkout at hand is from; its name says it otherwise.
    """
    if engine in stub.PACKAGES and wheel is None:
        save_snapshot(found := stub.read_stub(engine, version))
        return found
    if engine not in ENGINES:  # llama.cpp, which is not read from a wheel, and what there is not
        snapshot = hold_against_before(read_release(engine, version, wheel))
    else:
        with _wheel_of(engine, version, wheel) as path:
            # before anything is saved: a part that was misread must not become what the next release is held against
            snapshot = hold_against_before(_read_release(engine, version, path, kernels_too=wheel is None))
            save_guards_of(engine, version, read_wheel(path).members)
    # facts were added by hand or by probes of this project: reading the wheel again must not lose them
    held = snapshot_for(snapshot.release)
    snapshot = replace(
        snapshot, source=origin or snapshot.source, facts={**(held.facts if held else {}), **snapshot.facts}
    )
    for name, pinned in missing_pins(snapshot):
        if name == "transformers":
            save_snapshot(read_release(name, pinned))
        else:
            with download_wheel(f"{name}=={pinned}") as path:
                write_kernels(name, pinned, path)
    # last: a release whose pinned kernels could not be fetched leaves no half of itself behind
    save_snapshot(snapshot)
    return snapshot


def hold_against_before(snapshot: Snapshot) -> Snapshot:
    """Mark parts that have far fewer entries than the release before had: they are unread, not gone."""
    before = release_before(snapshot)
    lost: dict[str, str] = {}
    for part in COUNTED if before is not None else ():
        found, had = len(getattr(snapshot, part)), len(getattr(before, part))
        # releases drop options, but not half of them: what is far fewer was written in a new way
        if had and found < FEWER * had and part not in snapshot.unread:
            lost[part] = f"{found} {part} were found, and {before.version if before else ''} has {had}"
    emptied = {part: type(getattr(snapshot, part))() for part in lost}
    return replace(snapshot, **emptied, unread={**snapshot.unread, **lost}) if lost else snapshot


def release_before(snapshot: Snapshot) -> Snapshot | None:
    """Return the newest older release of the engine that has a snapshot."""
    own = Version(snapshot.version)
    return next((s for s in reversed(releases_of(snapshot.engine)) if Version(s.version) < own), None)


def missing_pins(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Return pinned packages, name and version, that facts need and that have no snapshot yet."""
    for name in (*KERNEL_PACKAGES, "transformers"):
        spec = snapshot.pins.get(name, "")
        version = spec.removeprefix("==")
        folder = SNAPSHOTS if name == "transformers" else KERNELS
        if spec.startswith("==") and not (folder / f"{release_id(name, version)}.json").is_file():
            yield name, version


def read_texts_again(engine: str, version: str, wheel: Path | None = None) -> Snapshot:
    """Ask the text probes of facts.yaml and the guards again, of a release that has a snapshot; nothing else of it.

    Raises:
        HostError: the release has no snapshot, or no wheel on the index.
    """
    held = snapshot_for(release_id(engine, version))
    if held is None or not held.complete:
        raise HostError(f"{engine}=={version} has no snapshot yet: glm-matrix snapshot {engine}=={version}")
    with _wheel_of(engine, version, wheel) as path:
        members = read_wheel(path).members
    save_guards_of(engine, version, members)
    asked_again = replace(held, probes=run_probes(engine, members, held.registered))
    save_snapshot(asked_again)
    return asked_again


def save_guards_of(engine: str, version: str, members: Mapping[str, bytes]) -> None:
    """Write the release's guards into the book of its engine, where the engine has argument code that is understood."""
    if engine in guards.FILES:
        save_guards(read_guards(engine).with_release(version, guards.list_guards(engine, members)))


def write_kernels(name: str, version: str, wheel: Path) -> Path:
    out = KERNELS / f"{release_id(name, version)}.json"
    out.write_text(kernels.format_wheel(kernels_of(wheel)), encoding="utf-8")
    return out


def newer_versions(engine: str) -> list[str]:
    """Return the versions on pip's index that are newer than every snapshot of the engine, oldest first.

    Final ones; of an engine that is given out as candidates only, all.

    Raises:
        HostError: the index cannot be asked.
    """
    held = [Version(s.version) for s in releases_of(engine)]
    # TensorRT-LLM publishes release candidates for months: pip hides them unless asked
    package = [stub.PACKAGES[engine], "--pre"] if engine in stub.PACKAGES else [engine]
    command = [sys.executable, "-m", "pip", "index", "versions", *package, "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INDEX_TIMEOUT_S, check=False)
    listed = re.search(r"^Available versions: (.*)$", done.stdout, re.MULTILINE)
    if done.returncode or listed is None:
        raise HostError(f"pip cannot list the versions of {engine}:\n{done.stderr.strip()[-400:]}")
    found = sorted(v for text in listed[1].split(", ") if (v := _parse_version(text)))
    return [str(v) for v in found if not held or v > max(held)]


def _parse_version(text: str) -> Version | None:
    try:
        return Version(text.strip())
    except InvalidVersion:
        return None


def axes_yaml(snapshot: Snapshot) -> str:
    """Return the release's file under matrix/axes/engines/, as far as its wheel determines it, with comments on the
    rest."""
    facts = load_facts().values()
    own = [f for f in facts if f.engine == snapshot.engine]
    held = {f.id: judge_fact(f, snapshot, load_facts()).holds for f in own}
    sms = sorted(sm for f in own if held[f.id] for sm in f.sms)
    # what the text of the release decides is filled in; the rest says that somebody must look
    reads = snapshot.reads_key("GlmMoeDsaForCausalLM", "index_topk_pattern")
    pins = "".join(f"  {n}: {snapshot.pins[n]!r}\n" for n in ("torch", "transformers") if n in snapshot.pins)
    served = "GlmMoeDsaForCausalLM" if "GlmMoeDsaForCausalLM" in snapshot.architectures else ""
    return (
        f"id: {snapshot.release}\nversion: {snapshot.version}\n"
        f"source: wheel {snapshot.engine} {snapshot.version}, read (glm-matrix snapshot); not run\n"
        f"requirement: {snapshot.engine}=={snapshot.version}\npins:\n{pins}"
        f"architectures: [{served}]\n"
        "# mtp and chunked_prefill as in the release before; look\n"
        f"features: {{indexcache: {str(bool(reads)).lower()}, mtp: true, chunked_prefill: true}}\n"
        "formats: # weight format: GPUs that load it, as the release before; look into its loaders\n"
        f"  bf16: {sms}\n  fp8: {sms}\n  nvfp4: {sms}\n  w4a16: {sms}\n"
        f"dsa_sms: {sms} # derived: glm-matrix facts --release {snapshot.release}\n"
    )
