"""Compares a GPU's name with the model of a rig. Pure: serves present hosts and recorded ones."""

from __future__ import annotations

from matrix.model import Rig


def is_gpu_of(rig: Rig, name: str, sm: int) -> bool:
    """Return whether a GPU has the rig's SM, and a name (from nvmlDeviceGetName) that its YAML lists, if it lists
    any."""
    names = rig.gpu.nvml_names
    return sm == rig.sm and (not names or any(n.lower() in name.lower() for n in names))
