"""Facts of the evidence as JUnit properties: versions, GPU, driver, digests of a launch; proofs and numbers of a test.

Names are stable: `version.vllm`, `gpu`, `driver`, `digest.cell`, `proof.mtp`, `number.median_tpot_ms.c1`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from reports.evidence.types import CellFacts, Kept, Launch, Measured, Proof, Record, Run

NUMBERS: Final = 60  # of one test; a load has 20 for each concurrency
HOST: Final = {"description": "gpu", "driver": "driver", "cuda": "cuda", "machine": "machine"}
FACTS: Final = ("rig", "engine", "release", "version", "checkpoint", "format", "sm", "gpus")
IMAGE: Final = "image_digest"
Key = tuple[str, str, str]  # run, cell, node id


def tell_launch(launch: Launch) -> dict[str, Any]:
    """Tell how an engine started, its versions, and what of its identity a user accepted."""
    facts: dict[str, Any] = {"launch": launch.outcome, "launch_s": launch.launch_s}
    facts |= {f"version.{name}": value for name, value in launch.versions.items() if name != IMAGE}
    facts |= {"digest.image": launch.versions.get(IMAGE, "")}
    return facts | {f"accepted.{part}": text for part, text in launch.cautions.items()}


def tell_host(run: Run) -> dict[str, Any]:
    """Tell on what a run ran, and of which source it is."""
    source = {"run": run.run, "commit": run.commit, "matrix_sha256": run.matrix_sha256, "depth": run.depth}
    return source | {name: run.host.get(key) for key, name in HOST.items()}


def tell_cells(records: Iterable[CellFacts]) -> dict[str, Any]:
    """Tell what the cells of one launch are, and the digest of each: facts and launch script."""
    found: dict[str, Any] = {}
    for r in records:
        found |= {name: r.facts[name] for name in FACTS if name in r.facts}
        found[f"digest.cell.{r.cell}"] = r.sha256
    return found


def tell_tests(records: Sequence[Record]) -> Mapping[Key, Mapping[str, str]]:
    """Tell what each test proved, measured and kept, by run, cell and node id."""
    found: dict[Key, dict[str, str]] = {}
    for r in records:
        if r.nodeid:
            own = found.setdefault((r.run, r.cell, r.nodeid), {})
            own.update(_tell_record(r, own))
    return found


def _tell_record(r: Record, own: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    match r:
        case Proof():
            yield f"proof.{r.feature}", f"{r.outcome} by {r.rung}"
        case Measured() if len(own) < NUMBERS:
            streams = r.conditions.get("concurrency")
            yield f"number.{r.name}{f'.c{streams}' if streams is not None else ''}", f"{r.value:.6g} {r.unit}"
        case Kept():
            yield "digest.replies", r.sha256
