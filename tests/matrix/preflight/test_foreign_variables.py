"""Slips in names of variables that libraries read; names that are near none of them stay unsaid."""

from __future__ import annotations

import pytest

from matrix.preflight.foreign_variables import NAMES, PREFIXES, find_slip


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("NCCL_P2P_DISABLED", "NCCL_P2P_DISABLE"),
        ("CUDA_VISIBLE_DEVICE", "CUDA_VISIBLE_DEVICES"),
        ("CUDA_VISBLE_DEVICES", "CUDA_VISIBLE_DEVICES"),
        ("HF_HUB_OFLINE", "HF_HUB_OFFLINE"),
        ("PYTORCH_CUDA_ALLOC_CONFIG", "PYTORCH_CUDA_ALLOC_CONF"),
        ("NCCL_SOCKET_IFNAME", ""),
        ("NCCL_TUNER_CONFIG_PATH", ""),
        ("HF_CACHE", ""),
        ("NCCL_NET_OFI_PROGRESS", ""),
        ("MY_CUDA_VISIBLE_DEVICE", ""),
    ],
)
def test_a_slip_is_two_letters_away(name: str, meant: str) -> None:
    assert find_slip(name) == meant


def test_no_name_is_a_slip_of_another() -> None:
    assert all(name.startswith(PREFIXES) for name in NAMES)
    assert not any(find_slip(name) for name in NAMES)
