"""A GPU is the rig's by whole words of its name: an H200 is no H20, and a GB300 no B300."""

from __future__ import annotations

import pytest

from matrix.gpu_model import is_gpu_of
from matrix.yaml.load import load_matrix

NAMES = {
    ("NVIDIA H200", 90): {"h200_141gb"},
    ("NVIDIA H20", 90): {"h20_96gb"},
    ("NVIDIA H100 80GB HBM3", 90): {"h100_80gb"},
    ("NVIDIA H100 PCIe", 90): set(),  # other memory, links and power than the module's
    ("NVIDIA H100 NVL", 90): set(),
    ("NVIDIA H200 NVL", 90): set(),
    ("NVIDIA GH200 480GB", 90): set(),
    ("NVIDIA B200", 100): {"b200_180gb"},
    ("NVIDIA GB200", 100): {"gb200_192gb"},
    ("NVIDIA B300 SXM6 AC", 103): {"b300_288gb"},
    ("NVIDIA GB300", 103): {"gb300_288gb"},
    ("NVIDIA GB10", 121): {"gb10_128gb"},
    ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", 120): {"rtx_pro_6000_96gb"},
    ("NVIDIA GeForce RTX 5090", 120): {"rtx_5090_32gb"},
}


@pytest.mark.parametrize(("seen", "gpus"), NAMES.items())
def test_a_name_means_one_gpu(seen: tuple[str, int], gpus: set[str]) -> None:
    name, sm = seen
    rigs = [r for r in load_matrix().rigs.values() if r.gpu.nvml_names]
    assert {r.gpu.id for r in rigs if is_gpu_of(r, name, sm)} == gpus
