"""GPUs as people write them, and what is said of one that has no name here."""

from __future__ import annotations

import pytest

from matrix.checking.rigs import parse_rig
from matrix.errors import ConfigError

NAMED = [
    ("8x H20-3e", 90, 8),
    ("8x H20", 90, 8),
    ("2x RTX 6000 Ada", 89, 2),
    ("2x RTX PRO 6000", 120, 2),
    ("4x RTX A6000", 86, 4),
    ("1x L20", 89, 1),
    ("1x L40S", 89, 1),
    ("DGX H100", 90, 8),
    ("HGX B200", 100, 8),
    ("2x DGX H100", 90, 16),
    ("2x DGX Spark", 121, 2),  # a machine of one GPU
    ("4x RTX 6000 Pro", 120, 4),  # its words in another order
    ("4xRTX6000Pro", 120, 4),  # and run together
    ("4x PRO 6000", 120, 4),  # without the brand
    ("2x RTX6000Ada", 89, 2),
    ("8x H 200", 90, 8),
    ("8xH100SXM5", 90, 8),
    ("A6000 Ada", 89, 1),
    ("2x A6000", 86, 2),
    ("sm90x4_h200", 90, 4),  # no rig of ours has this id; it was one H200
    ("sm90x8 H100 NVL", 90, 8),
    ("sm120x4-rtx_pro_6000", 120, 4),
    ("sm90_h200", 90, 1),
]


NAMED += [
    ("2 nodes x 8 H200", 90, 16),
    ("2x8 H200", 90, 16),
    ("2 hosts of 8x B200", 100, 16),
    ("2 x (8x B300)", 103, 16),
    ("8x 6000 Ada", 89, 8),
    ("2x 5090", 120, 2),
]


@pytest.mark.parametrize(("text", "sm", "count"), NAMED)
def test_a_gpu_is_found_by_its_name(text: str, sm: int, count: int) -> None:
    host = parse_rig(text)
    assert (host.sm, host.gpus) == (sm, count)


def test_the_larger_h20_has_its_own_memory() -> None:
    assert parse_rig("1x H20-3e").vram_bytes > 1.4 * parse_rig("1x H20").vram_bytes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("8x MI300X", "NVIDIA's GPUs alone"),
        ("Mac Studio M3 Ultra", "NVIDIA's GPUs alone"),
        ("8x X900", "its compute capability and count"),
        ("4x H100 + 4x H200", "GPUs of one kind: these are H100 and H200"),
        ("8x RTX PRO 6000 and 2 RTX 5090", "GPUs of one kind"),
        ("sm120x4_h200", "H200 is SM90"),
        ("sm90x0_h200", "expected a rig like"),
        ("sm90x2_foo", "did you mean 'sm90x2'"),
    ],
)
def test_an_unknown_gpu_says_what_to_do(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_rig(text)


@pytest.mark.parametrize(
    ("text", "gpu", "gib", "fabric"),
    [
        ("8x H100 80GB HBM3", "h100_80gb", 80, "nvlink"),
        ("8x H100 PCIe 80GB", "h100pcie", 80, "pcie"),
        ("8x H100-PCIE", "h100pcie", 80, "pcie"),
        ("2x H100 NVL", "h100nvl", 94, "pcie"),
        ("4x H200 NVL 141GB", "h200nvl", 140, "pcie"),
        ("8x H200", "h200_141gb", 140, "nvlink"),
        ("8x H800 PCIe", "h800_pcie", 79, "pcie"),
        ("8x A100 40GB PCIe", "a100_pcie", 37, "pcie"),
        ("1x GH200 480GB", "gh200", 96, "none"),
        ("GB300 NVL72", "gb300_288gb", 268, "nvlink"),
        ("2x RTX PRO 6000D", "rtxpro6000d", 83, "pcie"),
        ("4x RTX PRO 6000 Max-Q", "rtx_pro_6000_96gb", 96, "pcie"),
    ],
)
def test_a_card_has_its_own_memory_and_links(text: str, gpu: str, gib: int, fabric: str) -> None:
    host = parse_rig(text)
    assert (host.gpu, round(host.vram_bytes / 2**30), host.fabric) == (gpu, gib, fabric)
