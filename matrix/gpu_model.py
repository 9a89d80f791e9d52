"""Is a GPU that a host names the model that a rig has? Pure: asked of hosts that are here, and of recorded ones."""

from __future__ import annotations

from matrix.model import Rig


def is_gpu_of(rig: Rig, name: str, sm: int) -> bool:
    """Same SM, and a name (as nvmlDeviceGetName says it) that the rig's YAML lists, if it lists any."""
    names = rig.gpu.nvml_names
    return sm == rig.sm and (not names or any(n.lower() in name.lower() for n in names))
