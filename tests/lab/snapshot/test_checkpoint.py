"""Reading a checkpoint directory: headers only, and a damaged file is a finding instead of an exception."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from fixtures.weights.checkpoint_files import main, read_checkpoint
from fixtures.weights.safetensors_header import read_shard
from matrix.checkout import CHECKOUT
from matrix.errors import HostError
from matrix.preflight.checkpoint import Tensor, facts, judge

CANARY = CHECKOUT / "fixtures" / "canary" / "hf"
HEADER = {"__metadata__": {"format": "pt"}, "w": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}}


def safetensors(header: object, data: bytes = b"\0" * 8) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def write(folder: Path, **files: bytes) -> Path:
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


def test_a_header_is_read_without_the_weights(tmp_path: Path) -> None:
    files = read_checkpoint(write(tmp_path, model__safetensors=safetensors(HEADER), config__json=b"{}"))
    (shard,) = files.shards.values()
    assert shard.tensors == {"w": Tensor("BF16", (2, 2), 0, 8)}
    assert shard.size_bytes == 8 + shard.header_bytes + 8


def test_only_the_header_is_asked_for() -> None:
    data, asked = safetensors(HEADER), []

    def read(offset: int, count: int) -> bytes:
        asked.append((offset, count))
        return data[offset : offset + count]

    shard = read_shard(read, len(data))
    assert asked == [(0, 8), (8, shard.header_bytes)], "a remote file costs two range requests"


@pytest.mark.parametrize(
    "damaged",
    [b"", b"\xff" * 16, struct.pack("<Q", 4) + b"nope", safetensors([]), safetensors({"w": {}}), safetensors({"w": 1})],
)
def test_a_damaged_shard_is_a_finding(tmp_path: Path, damaged: bytes) -> None:
    files = read_checkpoint(write(tmp_path, model__safetensors=damaged, config__json=b"{}"))
    assert "shard_header" in [remark.kind for remark in judge(files)]


@pytest.mark.parametrize("text", [b"{", b"[]", b"\xff"])
def test_a_broken_config_is_a_finding(tmp_path: Path, text: bytes) -> None:
    files = read_checkpoint(write(tmp_path, config__json=text))
    assert "broken_file" in [remark.kind for remark in judge(files)]


def test_no_directory_is_the_hosts_trouble(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="not a directory"):
        read_checkpoint(tmp_path / "nowhere")


@pytest.mark.skipif(
    not (CANARY / "model.safetensors").is_file(), reason="the canary's weights are not in this checkout"
)
def test_the_canary_is_sound_and_is_what_its_yaml_says() -> None:
    files = read_checkpoint(CANARY)
    found = facts(files)
    assert [r for r in judge(files) if r.level in ("error", "warning")] == []
    assert (found.architecture, found.layers, found.mtp_layers) == ("GlmMoeDsaForCausalLM", 4, 1)
    assert (found.experts, found.shared_experts_bf16) == (16, False)


def test_the_command_tells_what_is_there_and_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, model__safetensors=safetensors(HEADER), config__json=b'{"architectures": ["X"]}')
    assert main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "X: 0 layers" in out
    assert "chat_template" in out
    assert main([str(tmp_path / "nowhere")]) == 2
