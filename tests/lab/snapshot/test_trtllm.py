"""What is read of TensorRT-LLM, of an invented release in its shape, and how a checkout stands in for a wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.snapshot.extract import extract_snapshot
from lab.snapshot.guards import list_guards
from lab.snapshot.wheel import Wheel, read_wheel
from matrix.errors import HostError
from matrix.preflight.snapshot import Snapshot, parse_snapshot, save_snapshot, snapshot_for
from tests.lab.snapshot.trtllm_toy import TRTLLM


def read_toy(members: dict[str, bytes] = TRTLLM) -> Snapshot:
    return extract_snapshot("trtllm", "9", Wheel("toy.whl", "0" * 64, members))


TOY = read_toy()


def test_everything_is_read() -> None:
    assert not TOY.unread
    assert TOY.dialect == "click"
    assert TOY.architectures == {"DeepseekV32ForCausalLM", "DeepseekV3ForCausalLM"}
    assert TOY.registered == {"DeepseekV32ForCausalLM": "tensorrt_llm._torch.models.modeling_deepseekv3"}
    assert TOY.reads_key("DeepseekV32ForCausalLM", "index_topk")
    assert TOY.reads_key("DeepseekV32ForCausalLM", "index_topk_pattern") is False
    assert TOY.parsers == {"reasoning": ("glm45", "qwen3"), "tool_call": ("glm47", "qwen3")}
    assert TOY.env == {"TLLM_LEVEL", "TRTLLM_FROM_CPP"}
    assert TOY.requires == ("torch>=2.9",)


def test_of_a_wheel_the_variables_of_its_libraries_are_unread() -> None:
    snapshot = read_toy({name: text for name, text in TRTLLM.items() if not name.startswith("cpp/")})
    assert "C++" in snapshot.unread["env"]
    assert not snapshot.knows("env")


def test_bare_assertions_of_a_step_are_no_guards() -> None:
    files = {
        "tensorrt_llm/llmapi/llm_args.py": b"assert self.layers > 0\n",
        "tensorrt_llm/_torch/modules/attention.py": b'assert q.shape[0] == 1\nassert x, "with these words"\n',
    }
    assert [says for _, _, says in list_guards("trtllm", files)] == ["with these words", "assert layers > 0"]


def test_a_checkout_is_read_as_its_wheel(tmp_path: Path) -> None:
    for name, text in TRTLLM.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text)
    (tmp_path / "requirements.txt").write_text("-c constraints.txt\ntorch>=2.9 # why\n")
    (tmp_path / "tensorrt_llm" / "link.py").symlink_to("/etc/passwd")
    wheel = read_wheel(tmp_path)
    assert "tensorrt_llm/link.py" not in wheel.members
    snapshot = extract_snapshot("trtllm", "9", wheel)
    assert (snapshot.flags, snapshot.file_keys, snapshot.env) == (TOY.flags, TOY.file_keys, TOY.env)
    assert snapshot.requires == ("torch>=2.9",)
    with pytest.raises(HostError, match=r"is release 9 .* and 8 was asked for"):
        extract_snapshot("trtllm", "8", wheel)


def test_a_folder_of_something_else_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="a checkout of TensorRT-LLM"):
        read_wheel(tmp_path)


def test_the_keys_of_the_file_survive_the_snapshot(tmp_path: Path) -> None:
    path = save_snapshot(TOY, tmp_path)
    again = parse_snapshot(path.read_text(encoding="utf-8"), tmp_path)
    assert again.file_keys == TOY.file_keys


def test_the_committed_release_names_what_it_was_read_from() -> None:
    snapshot = snapshot_for("trtllm_1_3_0rc3")
    assert snapshot is not None
    assert snapshot.complete
    assert "90010b6f" in snapshot.facts["origin"]
    assert {"speculative_config[MTP].relaxed_topk", "kv_cache_config.dtype"} <= set(snapshot.keys_of_file)
    assert snapshot.options["--tool_parser"].choices is not None
