"""Every cache that a variable moves has a folder of its own, in the volume; everything else is a bounded tmpfs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath

from matrix.output import writable
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Setting, make_plan
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
PLAN = make_plan(MATRIX, next(c for c in expand_matrix(MATRIX).runnable if c.release.image))


def test_no_two_caches_share_a_folder_and_none_leaves_the_volume() -> None:
    folders = list(writable.JIT_CACHES.values())
    assert len(set(folders)) == len(folders) and all(re.fullmatch(r"[a-z0-9_]+", f) for f in folders)
    assert "SGLANG_CACHE_DIR" not in writable.JIT_CACHES, "it holds which GPUs reach each other, too"


def test_homes_lie_in_a_tmpfs_and_each_is_bounded_and_executable() -> None:
    places = writable.list_tmpfs(PLAN)
    assert set(places) == {"/tmp", "/var/tmp", writable.HOME}
    for options in places.values():
        words = set(options.split(","))
        assert {"rw", "exec", "nosuid", "nodev", "mode=1777"} < words
        assert [w for w in words if re.fullmatch(r"size=[1-9]\d*g", w)]
    assert all(PurePosixPath(p).is_relative_to(writable.HOME) for p in writable.HOMES.values())
    assert {"HOME", "HF_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"} == set(writable.HOMES)


def test_a_volume_of_the_recipe_takes_the_place_of_a_tmpfs() -> None:
    own = Setting(path=("volumes",), value=["/data/tmp:/tmp:rw"], why="", source="", overlay="", where="t:1", weight=1)
    kept = tuple(s for s in PLAN.sections["launcher"] if s.key != "volumes")
    plan = replace(PLAN, sections={**PLAN.sections, "launcher": (*kept, own)})
    assert set(writable.list_tmpfs(plan)) == {"/var/tmp", writable.HOME}
    assert [words[0] for words in writable.list_docker_words(plan)] == ["--read-only", "--tmpfs", "--tmpfs"]


def test_a_reason_leaves_the_root_as_it_was_and_is_said() -> None:
    release = replace(PLAN.cell.release, writable_root="it links into its package")
    plan = replace(PLAN, cell=replace(PLAN.cell, release=release))
    assert writable.list_tmpfs(plan) == {} == writable.name_homes(release)
    assert list(writable.list_docker_words(plan)) == []
    assert writable.explain_root(release) == "writable, because it links into its package"
    assert writable.explain_root(PLAN.cell.release).startswith("read-only but for /tmp, /var/tmp, ")
