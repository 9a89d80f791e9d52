"""What changed between two releases, and what is unknown because one of them hides it."""

from __future__ import annotations

from dataclasses import replace

from matrix.preflight.changes import list_changes
from matrix.preflight.snapshot import Flag, Snapshot, snapshot_for

OLD = Snapshot(
    release="toy_1",
    engine="toy",
    version="1",
    source="toy-1.whl",
    requires=("torch==2", "gone==1"),
    flags=(Flag(options=("--a",), dest="a", default="1"), Flag(options=("--b",), dest="b", choices=("x", "y"))),
    env=frozenset({"TOY_A"}),
    chosen={"Glm sm120 auto": "trtllm"},
)
NEW = replace(
    OLD,
    release="toy_2",
    version="2",
    requires=("torch==3", "new==1"),
    env=frozenset({"TOY_B"}),
    flags=(Flag(options=("--b",), dest="b", choices=("x",), default="2"), Flag(options=("--c",), dest="c")),
    chosen={"Glm sm120 auto": "flashinfer_sparse_mla"},
)


def test_every_kind_of_change_is_told_once() -> None:
    assert [str(change) for change in list_changes(OLD, NEW)] == [
        "flag gone: --a",
        "default changed: --b:  -> 2",
        "choices of --b gone: y",
        "flag new: --c",
        "env gone: TOY_A",
        "env new: TOY_B",
        "pin gone: gone",
        "pin new: new: ==1",
        "pin changed: torch: ==2 -> ==3",
        "chosen changed: Glm sm120 auto: trtllm -> flashinfer_sparse_mla",
    ]
    assert not list(list_changes(OLD, OLD))


def test_flags_that_were_not_read_are_unknown_and_not_gone() -> None:
    hidden = replace(NEW, flags=(), unread={"flags": "no module defines make_arg_parser"})
    told = [str(change) for change in list_changes(OLD, hidden)]
    assert told[0] == "flags unknown: flags: no module defines make_arg_parser"
    assert not [text for text in told if text.startswith("flag ")]


def test_sglang_0_5_17_begins_to_choose_a_backend_of_its_own_for_sm120() -> None:
    old, new = snapshot_for("sglang_0_5_16"), snapshot_for("sglang_0_5_17")
    assert old is not None and new is not None
    told = [str(c) for c in list_changes(old, new) if c.part == "chosen" and "sm120 fp8_e4m3" in c.name]
    expected = "trtllm, trtllm -> flashinfer_sparse_mla, flashinfer_sparse_mla"
    assert told == [f"chosen changed: GlmMoeDsaForCausalLM sm120 fp8_e4m3: {expected}"]
