"""GPUs and the rigs that they are sold in, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Json = Any  # a JSON value; YAML scalars, lists and mappings


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU model and the rigs it is sold in. `cpu` is the GPU-less one: sm 0, vram_bytes = 0."""

    id: str
    name: str
    sm: int  # compute capability times ten: 90, 100, 103, 120, 121; of ROCm's gfx942 the 942; 0: no GPU
    vram_bytes: int
    memory_bandwidth_bytes_per_s: int
    interconnect: Literal["nvlink", "pcie", "network", "xgmi", "none"]  # between the GPUs of a rig
    rigs: Mapping[str, int]  # rig id -> number of GPUs
    source: str
    runtime: Literal["cuda", "rocm"] = "cuda"
    host: Literal["x86_64", "aarch64"] = "x86_64"  # its CPU: another wheel, whose machine code may differ
    hosts: Mapping[str, int] = field(default_factory=dict, hash=False)  # rig id -> machines that it spans; none: one
    fp4: bool = False  # native FP4 tensor cores
    nvml_names: tuple[str, ...] = ()  # substrings of nvmlDeviceGetName that mean this GPU
    notes: str = ""

    @property
    def target(self) -> str:
        """What its code is compiled for, as a mark and a message say it: sm120, gfx942, cpu."""
        if not self.sm:
            return "cpu"
        return f"sm{self.sm}" if self.runtime == "cuda" else f"gfx{self.sm}"


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A number of equal GPUs on one host, or on as many as the GPU's file says."""

    id: str
    gpu: Gpu
    gpus: int

    @property
    def sm(self) -> int:
        return self.gpu.sm

    @cached_property
    def facts(self) -> dict[str, Json]:
        """Its part of a cell's facts."""
        gpu = self.gpu
        return {"rig": self.id, "gpu": gpu.id, "sm": gpu.sm, "gpus": self.gpus, "interconnect": gpu.interconnect}

    @property
    def attach_only(self) -> str:
        """Why this project starts nothing on it and only attaches to what runs there; empty where it starts."""
        if self.gpu.runtime != "cuda":
            return (
                f"the wheels and images on the axes are CUDA's, and {self.gpu.target} is {self.gpu.runtime.upper()}'s"
            )
        if (count := self.gpu.hosts.get(self.id, 1)) > 1:
            return f"it spans {count} hosts, and a launch is started on one"
        return ""
