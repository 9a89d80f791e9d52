"""A checkpoint is judged over HTTP from its headers alone: the weights never travel."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fixtures.weights.checkpoint_files import gather, main, open_checkpoint, read_checkpoint
from matrix.errors import HostError
from matrix.preflight.checkpoint import facts

WEIGHTS_BYTES = 4096


class Handler(BaseHTTPRequestHandler):
    """Files of a folder, with or without range requests; counts the bytes it sent."""

    def __init__(self, folder: Path, sent: list[int], ranges: bool, *args: object) -> None:
        self.folder, self.sent, self.ranges = folder, sent, ranges
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        path = self.folder / self.path.rpartition("/")[2]
        if "/private/" in self.path or not path.is_file():
            self.send_error(403 if "/private/" in self.path else 404)
            return
        whole, part = path.read_bytes(), path.read_bytes()
        asked = self.headers.get("Range") if self.ranges else None
        if asked:
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
            part = whole[first : last + 1]
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(whole)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.sent.append(len(part))
        self.wfile.write(part)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Quiet."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = {"architectures": ["GlmMoeDsaForCausalLM"], "num_hidden_layers": 2, "n_routed_experts": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    for n in (1, 2):
        tensor = {"dtype": "BF16", "shape": [WEIGHTS_BYTES // 2], "data_offsets": [0, WEIGHTS_BYTES]}
        header = json.dumps({f"model.layers.{n}.w": tensor}).encode()
        data = struct.pack("<Q", len(header)) + header + bytes(WEIGHTS_BYTES)
        (tmp_path / f"model-{n}.safetensors").write_bytes(data)
    names = {f"model.layers.{n}.w": f"model-{n}.safetensors" for n in (1, 2)}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return tmp_path


@pytest.fixture
def sent() -> list[int]:
    return []


@pytest.fixture(params=[True], ids=["ranges"])
def address(folder: Path, sent: list[int], request: pytest.FixtureRequest) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, folder, sent, request.param))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_remote_checkpoint_reads_as_the_local_one_does(folder: Path, address: str) -> None:
    assert gather(open_checkpoint(f"{address}/repo")) == read_checkpoint(folder)


def test_the_weights_never_travel(address: str, sent: list[int]) -> None:
    found = facts(gather(open_checkpoint(address)))
    assert found.weights_bytes > 2 * WEIGHTS_BYTES
    assert sum(sent) < WEIGHTS_BYTES


def test_a_shard_that_the_index_names_and_the_server_lacks_is_missing(folder: Path, address: str) -> None:
    (folder / "model-2.safetensors").unlink()
    assert set(gather(open_checkpoint(address)).shards) == {"model-1.safetensors"}


@pytest.mark.parametrize("address", [False], indirect=True, ids=["no ranges"])
def test_a_server_without_range_requests_is_a_problem_and_not_a_download(address: str) -> None:
    shards = gather(open_checkpoint(address)).shards
    assert all("range requests" in shard.problem for shard in shards.values())


def test_a_gated_repository_says_what_to_set(address: str) -> None:
    with pytest.raises(HostError, match="403; set HF_TOKEN"):
        gather(open_checkpoint(f"{address}/private/repo"))


def test_a_server_that_is_not_there_is_the_hosts_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["http://127.0.0.1:9/repo"]) == 2
    assert "cannot be reached" in capsys.readouterr().err
