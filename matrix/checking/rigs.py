"""`--rig sm120x4` and `--gpus "4x RTX PRO 6000"` -> compute capability, count and memory of one host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.model import Gpu
from matrix.yaml.structure import require_entries, require_record

HARDWARE: Final = CHECKOUT / "matrix" / "axes" / "hardware"
MODELS: Final = Path(__file__).parent / "models.yaml"
RIG: Final = re.compile(r"sm_?(?P<sm>\d{2,3})[af]?(?:x(?P<count>\d{1,4}))?", re.IGNORECASE)
COUNTED: Final = re.compile(
    r"\s*(?:(?P<count>\d{1,4})\s*(?:x|\*)\s*)?(?:NVIDIA\s+)?(?P<name>[A-Za-z].*?)\s*", re.IGNORECASE
)
GIB: Final = 2**30


@dataclass(frozen=True, kw_only=True)
class Host:
    """GPUs of one kind. `vram_bytes` 0: not known. `fabric`: nvlink, pcie, none, or "" where the name does not tell."""

    sm: int
    gpus: int
    name: str = ""
    vram_bytes: int = 0
    fabric: str = ""

    def __str__(self) -> str:
        return f"{self.gpus}x {self.name or f'SM{self.sm}'}" + (f" (SM{self.sm})" if self.name else "")


@dataclass(frozen=True, kw_only=True)
class Known:
    """A GPU by its names."""

    id: str
    names: tuple[str, ...]
    sm: int
    vram_bytes: int
    fabric: str
    rigs: tuple[tuple[str, int], ...] = ()


def parse_rig(text: str) -> Host:
    """Parse a rig's id (`sm120x4`), a capability (`sm121x2`), or a count and a name (`4x RTX PRO 6000`).

    Raises:
        ConfigError: no such rig, no such GPU.
    """
    word = text.strip()
    for gpu in known_gpus():
        for rig, count in gpu.rigs:
            if rig == word.lower():
                return _host(gpu, count)
    found = RIG.fullmatch(word)
    if found is not None:
        sm = int(found["sm"])
        return Host(sm=sm, gpus=int(found["count"] or 1))
    counted = COUNTED.fullmatch(word)
    gpu_named = _named(counted["name"]) if counted is not None else None
    if counted is None or gpu_named is None:
        words = [name for gpu in known_gpus() for name in (*gpu.names, *(rig for rig, _ in gpu.rigs))]
        raise ConfigError(
            [
                Problem(
                    "--rig",
                    0,
                    repr(text),
                    f"expected a rig like sm120x4 or GPUs like '8x H200'{suggest_nearest(word, words)}",
                )
            ]
        )
    return _host(gpu_named, int(counted["count"] or 1))


def _host(gpu: Known, count: int) -> Host:
    return Host(sm=gpu.sm, gpus=count, name=gpu.names[0], vram_bytes=gpu.vram_bytes, fabric=gpu.fabric)


def _named(text: str) -> Known | None:
    """The GPU whose name stands in the text; the longest name counts (RTX PRO 6000 before 6000)."""
    plain = _plain(text)
    fits = [(len(_plain(name)), gpu) for gpu in known_gpus() for name in gpu.names if _plain(name) in plain]
    return max(fits, key=lambda pair: pair[0])[1] if fits else None


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower().replace("nvidia", ""))


@cache
def known_gpus() -> tuple[Known, ...]:
    """The GPUs of the matrix and those of models.yaml."""
    return (*_of_the_matrix(), *_others())


def _of_the_matrix() -> Iterator[Known]:
    for path in sorted(HARDWARE.glob("*.yaml")):
        gpu = require_record(Gpu, path)
        if gpu.sm:
            short = re.sub(r"\b(NVIDIA|Blackwell|SXM\d?|HGX)\b|\d+ ?GB\b", "", gpu.name).strip()
            names = (re.sub(r"\s+", " ", short), *gpu.nvml_names)
            yield Known(
                id=gpu.id,
                names=tuple(dict.fromkeys(names)),
                sm=gpu.sm,
                vram_bytes=gpu.vram_bytes,
                fabric=gpu.interconnect,
                rigs=tuple(gpu.rigs.items()),
            )


def _others() -> Iterator[Known]:
    for gpu in require_entries(MODELS, {"gpus": ("names", "sm", "vram_gib", "interconnect")})["gpus"]:
        yield Known(
            id=_plain(gpu["names"][0]),
            names=tuple(gpu["names"]),
            sm=gpu["sm"],
            vram_bytes=int(gpu["vram_gib"] * GIB),
            fabric=gpu["interconnect"],
        )
