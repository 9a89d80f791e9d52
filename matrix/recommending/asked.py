"""What a person asks about: a rig's id, GPUs by name, or this host -> one rig of the matrix, or one that could be."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from matrix.checking.rigs import Host, parse_rig, split_count
from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.facts.model import load_facts
from matrix.hardware import Rig
from matrix.planning.kv import GIB
from matrix.yaml.loaded import Matrix

MODEL: Final = re.compile(r"MI\d{3}[A-Z]?")  # AMD's names; MI300X and MI355X are on the axes
ADD_GPU: Final = "docs/how-to/add-a-gpu.md"
BELOW: Final = "_no_dsa_below_sm90"  # of the facts that decide it
HOPPER: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendRequest:
    """`rig` None: the matrix has no GPU like it, and `notes` say what is known. `hypothetical`: no rig of the axes."""

    rig: Rig | None
    notes: tuple[str, ...] = ()
    hypothetical: bool = False


def find_rig(matrix: Matrix, name: str) -> RecommendRequest:
    """Return the rig of that id, or the one that GPUs as people write them are (`4x RTX PRO 6000`).

    Raises:
        ConfigError: there is none; names the nearest.
    """
    if (meant := _find_meant(matrix, name)) is not None:
        return RecommendRequest(rig=meant)
    if name not in matrix.rigs:
        raise ConfigError([Problem("--rig", 0, "", f"no rig {name!r}{suggest_nearest(name, matrix.rigs)}")])
    return RecommendRequest(rig=matrix.rigs[name])


def name_rig(matrix: Matrix, text: str) -> str:
    """Return the id of the rig that a person names by its GPUs; the text itself where it names none."""
    meant = _find_meant(matrix, text)
    return meant.id if meant else text


def _find_meant(matrix: Matrix, text: str) -> Rig | None:
    """Find the rig of the matrix that a text with a space names by its GPUs. An id has none, and its own error."""
    if " " not in text.strip():
        return None
    try:
        found = find_gpus(matrix, text).rig
    except ConfigError:
        return None
    return found if found and found.id in matrix.rigs else None


def find_gpus(matrix: Matrix, text: str) -> RecommendRequest:
    """Return the rig that `4x RTX PRO 6000` means, one that is made for the question, or what is known of the GPU.

    Raises:
        ConfigError: the words name no GPU; says which are known.
    """
    # before parse_rig, which knows CUDA's names alone and would call an MI300X a slip
    if (attached := _find_attached(matrix, text)) is not None:
        return attached
    host = parse_rig(text, option="--gpus")
    same = [r for r in matrix.rigs.values() if r.gpu.id == (host.like or host.gpu)]
    # the memory, too: H100 with 80 and with 94 GB are one model, and not one rig
    exact = [r for r in same if r.gpus == host.gpus and r.gpu.vram_bytes == host.vram_bytes]
    if exact and not host.like:
        return RecommendRequest(rig=exact[0])
    if same:
        return _make_rig(matrix, host, same)
    return RecommendRequest(rig=None, notes=tuple(_tell_unknown(matrix, host)))


def _find_attached(matrix: Matrix, text: str) -> RecommendRequest | None:
    """Return the rig of a GPU of another runtime than CUDA, or what is known of it; None: it names no such GPU."""
    count, name = split_count(text)
    for gpu in matrix.gpus.values():
        model = MODEL.search(gpu.name)
        if gpu.runtime == "cuda" or model is None or not re.search(rf"\b{model[0]}\b", name, re.IGNORECASE):
            continue
        exact = [rig for rig, gpus in gpu.rigs.items() if gpus == count]
        ids = ", ".join(f"{rig} ({gpus} x)" for rig, gpus in gpu.rigs.items())
        if exact:
            return RecommendRequest(rig=matrix.rigs[exact[0]])
        return RecommendRequest(
            rig=None, notes=(f"No rig of the matrix is {count} x {gpu.name}; rigs of this GPU: {ids}.",)
        )
    return None


def _make_rig(matrix: Matrix, host: Host, same: list[Rig]) -> RecommendRequest:
    gpu = replace(same[0].gpu, vram_bytes=host.vram_bytes)
    if host.like:
        # the same chip in another form: rules by capability hold, numbers of the module do not
        speed = host.bandwidth_bytes_per_s or gpu.memory_bandwidth_bytes_per_s
        links: Any = host.fabric
        gpu = replace(
            gpu, id=host.gpu, name=host.name, interconnect=links, memory_bandwidth_bytes_per_s=speed, nvml_names=()
        )
    many = max((-(-host.gpus * hosts // r.gpus) for r in same if (hosts := gpu.hosts.get(r.id, 1)) > 1), default=1)
    if many > 1:
        # machines that a known rig of this GPU spans, by its proportion: four DGX Sparks are four hosts
        gpu = replace(gpu, hosts={**gpu.hosts, f"sm{gpu.sm}x{host.gpus}_asked": many})
    # an id that no file has: nothing can be run on it, and no recipe is meant for it by name
    rig = Rig(id=f"sm{gpu.sm}x{host.gpus}_asked", gpu=gpu, gpus=host.gpus)
    ids = ", ".join(f"{r.id} ({r.gpus} x)" for r in same)
    known = host.vram_bytes == same[0].gpu.vram_bytes and not host.like
    step = f"glm-matrix add rig --gpu {gpu.id} --count {host.gpus}" if known else ADD_GPU
    notes = (
        f"No rig of the matrix is {host}. It is judged as {host.gpus} x {gpu.name} with"
        f" {gpu.vram_bytes / GIB:.0f} GiB each, joined by {gpu.interconnect}; rigs of"
        f" {f'the same chip, {same[0].gpu.name}' if host.like else 'this GPU'}: {ids}.",
        f"To run cells on it: {step}",
    )
    return RecommendRequest(rig=rig, notes=notes, hypothetical=True)


def _tell_unknown(matrix: Matrix, host: Host) -> list[str]:
    """Say what arithmetic knows about a GPU that no rig has: whether any checkpoint fits in all of them."""
    notes = [f"No rig of the matrix has this GPU: {host}. Nothing is recommended for it."]
    sized = [c for c in matrix.checkpoints.values() if not c.canary and c.size_bytes]
    if host.vram_bytes and sized:
        least = min(sized, key=lambda c: c.size_bytes or 0)
        have, need = host.vram_bytes * host.gpus / GIB, (least.size_bytes or 0) / GIB
        fits = "its weights could fit" if need < have else "it does not fit"
        notes.append(
            f"The smallest big checkpoint is {least.id}: {need:,.0f} GiB of weights"
            f" [{least.size_source or least.source}]; {host} has {have:,.0f} GiB: {fits}."
        )
    if why := _tell_no_sparse(matrix, host.sm):
        notes.append(why)
    near = sorted({r.id for r in matrix.rigs.values() if r.sm == host.sm})
    if near:
        notes.append(f"Rigs of the same compute capability (SM{host.sm}): {', '.join(near)}.")
    notes.append("A launch line of your own can be checked for it: glm-matrix check --gpus '...' -- COMMAND")
    notes.append(f"To add the GPU: {ADD_GPU}")
    return notes


def _tell_no_sparse(matrix: Matrix, sm: int) -> str:
    """Say that no release on the axes has kernels for sparse attention there, with the facts that decide it."""
    able = {each for r in matrix.releases.values() for each in r.dsa_sms if each}
    if sm in able or any(sm // 10 == each // 10 for each in able):
        return ""
    facts = [
        f"{fact.id} ({fact.standing})" for fact in load_facts().values() if fact.id.endswith(BELOW) and sm < HOPPER
    ]
    shown = ", ".join(f"SM{each}" for each in sorted(able))
    return (
        f"No release of the matrix has kernels for sparse attention (DSA), which this family needs, on SM{sm}: they are"
        f" for {shown} (dsa_sms of {len(matrix.releases)} releases{'; facts ' if facts else ''}{', '.join(facts)})."
        " That the weights fit does not help."
    )
