"""What releases share is stored once, and a release reads only its own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.errors import ConfigError
from matrix.preflight.blocks import address_block, blocks_path, cut_runs, read_blocks
from matrix.preflight.snapshot import Flag, Snapshot, format_snapshot, list_releases, save_snapshot, snapshot_for

NAMES = st.frozensets(st.text("ABCDEFG_", min_size=3, max_size=8), max_size=60)


def release(version: str, *, flags: int = 3, env: frozenset[str] = frozenset({"TOY_A", "TOY_B"})) -> Snapshot:
    options = (Flag(options=(f"--f{n}",), dest=f"f{n}", default=f"{n}") for n in range(flags))
    return Snapshot(
        release=f"toy_{version}",
        engine="toy",
        version=version,
        source="toy.whl",
        flags=tuple(options),
        env=env,
        config_keys={"*": frozenset({"index_topk"}), "GlmMoeDsaForCausalLM": frozenset({"x"})},
        chosen={"GlmMoeDsaForCausalLM sm120 auto": "none"},
        unread={"parsers tool_call": "no table"},
        requires=("torch==2",),
    )


def stored(snapshot: Snapshot, folder: Path) -> Snapshot:
    save_snapshot(snapshot, folder)
    snapshot_for.cache_clear()
    found = snapshot_for(snapshot.release, folder)
    assert found is not None
    return found


def test_a_snapshot_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    assert stored(release("1"), tmp_path) == release("1")
    assert format_snapshot(stored(release("1"), tmp_path)) == format_snapshot(release("1"))


def test_two_releases_share_what_is_equal(tmp_path: Path) -> None:
    save_snapshot(release("1"), tmp_path)
    before = set(read_blocks(blocks_path(tmp_path, "toy")))
    save_snapshot(release("2", flags=4), tmp_path)
    after = set(read_blocks(blocks_path(tmp_path, "toy")))
    assert len(after - before) == 1 and before < after
    assert (tmp_path / "toy_2.json").stat().st_size < 1000


def test_a_block_that_no_release_names_any_more_is_dropped(tmp_path: Path) -> None:
    save_snapshot(release("1", flags=4), tmp_path)
    save_snapshot(release("1", flags=3), tmp_path)
    assert '"--f3"' not in blocks_path(tmp_path, "toy").read_text()


def test_saving_again_changes_nothing(tmp_path: Path) -> None:
    for version in ("1", "2", "1"):
        save_snapshot(release(version), tmp_path)
    first = {p.name: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    save_snapshot(release("2"), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == first


def test_pins_stand_in_the_releases_own_file(tmp_path: Path) -> None:
    """Planning asks for pins only, and must not read what the engine shares."""
    save_snapshot(release("1"), tmp_path)
    assert json.loads((tmp_path / "toy_1.json").read_text())["requires"] == ["torch==2"]


def test_a_missing_block_says_which_command_writes_it(tmp_path: Path) -> None:
    save_snapshot(release("1"), tmp_path)
    blocks_path(tmp_path, "toy").write_text("", encoding="utf-8")
    read_blocks.cache_clear()
    snapshot_for.cache_clear()
    with pytest.raises(ConfigError, match="glm-matrix snapshot"):
        snapshot_for("toy_1", tmp_path)


@given(NAMES, NAMES)
def test_runs_keep_every_name_and_an_addition_moves_few(names: frozenset[str], more: frozenset[str]) -> None:
    assert [name for run in cut_runs(names) for name in run] == sorted(names)
    old, new = ({tuple(run) for run in cut_runs(entries)} for entries in (names, names | more))
    assert len(new - old) <= 2 * len(more - names) or not more - names


def test_every_committed_block_is_named_by_a_release_and_has_its_own_address() -> None:
    for engine in ("sglang", "vllm", "transformers"):
        releases = [s for name in list_releases() if name.startswith(engine) and (s := snapshot_for(name))]
        held = read_blocks(blocks_path(Path("matrix/snapshots").resolve(), engine))
        assert held and all(address_block(text) == key for key, text in held.items())
        assert len(releases) > 3


def test_a_release_without_flags_of_its_own_is_no_empty_release(tmp_path: Path) -> None:
    hidden = replace(release("1"), flags=(), unread={"flags": "58 flags were found, and 0.5.10 has 355"})
    assert not stored(hidden, tmp_path).knows("flags")
    assert stored(hidden, tmp_path).knows("env")
