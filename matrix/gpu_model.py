"""Compares a GPU's name with the model of a rig. Pure: serves present hosts and recorded ones."""

from __future__ import annotations

import re
from typing import Final

from matrix.hardware import Rig

FORM: Final = re.compile(r"(?<![\w-])(?:PCIe|NVL)(?![\w-])", re.IGNORECASE)


def is_gpu_of(rig: Rig, name: str, sm: int) -> bool:
    """Return whether a GPU has the rig's SM, and a name (from nvmlDeviceGetName) that its YAML lists, if it lists
    any. Whole words count: an H200 is no H20, and a GB300 no B300."""
    names = rig.gpu.nvml_names
    # the card of a chip that the rig has as a module: other memory, links and power
    form = FORM.search(name)
    if form and form[0].lower() not in f"{rig.gpu.name} {' '.join(names)}".lower():
        return False
    words = (rf"(?<![\w-]){re.escape(n)}(?![\w-])" for n in names)
    return sm == rig.sm and (not names or any(re.search(word, name, re.IGNORECASE) for word in words))
