"""Pins of a release that contradict what a checkpoint's architecture needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from matrix.preflight.snapshot import Snapshot

FAR_FUTURE = Version("9999")  # stands for "any later version": an open upper bound accepts it


@dataclass(frozen=True)
class Need:
    """The first version of a package that knows an architecture's config class."""

    package: str
    first: str
    engines: tuple[str, ...]  # that load the config through this package
    source: str


# transformers wheels read (snapshots transformers_*): 4.57.6 and 5.1.0 have no glm_moe_dsa, 5.2.0 has it.
GLM_MOE_DSA = Need(
    package="transformers",
    first="5.2.0",
    engines=("vllm", "sglang", "transformers"),
    source="transformers 5.1.0 and 5.2.0 wheels; vllm-project/recipes#246",
)
NEEDS: Mapping[str, Need] = {"GlmMoeDsaForCausalLM": GLM_MOE_DSA}


@dataclass(frozen=True)
class Conflict:
    """A package whose pinned versions cannot load the checkpoint."""

    package: str
    message: str


def find_conflicts(architecture: str, snapshot: Snapshot, installed: Mapping[str, str]) -> Iterator[Conflict]:
    """Pins (or versions brought by an overlay) that exclude every version with the architecture."""
    need = NEEDS.get(architecture)
    # llama.cpp and TensorRT-LLM read the config themselves: a pin of theirs decides nothing
    if need is None or snapshot.engine not in need.engines:
        return
    given = installed.get(need.package)
    pin = SpecifierSet(f"=={given}") if given else _read_pin(need.package, snapshot)
    if pin is not None and not _is_possible(pin, Version(need.first)):
        yield Conflict(
            need.package,
            f"{snapshot.release} takes {need.package}{pin}, but {architecture} needs "
            f"{need.package}>={need.first} ({need.source})",
        )


def _read_pin(package: str, snapshot: Snapshot) -> SpecifierSet | None:
    if snapshot.engine == package:
        return SpecifierSet(f"=={snapshot.version}")
    stated = snapshot.pins.get(package)
    return SpecifierSet(stated) if stated is not None else None


def _is_possible(pin: SpecifierSet, first: Version) -> bool:
    """Whether any version from `first` on can satisfy the pin; its own bounds are the versions worth trying."""
    # a specifier is true on whole intervals, so its own bounds and the two ends show whether any version fits
    bounds = [Version(part.version) for part in pin if not part.version.endswith(".*")]
    candidates = [version for version in (first, FAR_FUTURE, *bounds) if version >= first]
    return any(pin.contains(version, prereleases=True) for version in candidates)
