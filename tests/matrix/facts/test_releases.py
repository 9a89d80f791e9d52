"""A release's file says what its wheel, its lock and its image's tag say, or lint names both and which decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from matrix.facts.releases import LOCKS, explain_unheld, lint_releases, read_lock
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix

MATRIX = load_matrix()
SGLANG, VLLM = "sglang_0_5_17", "vllm_0_26_0"


def changed(name: str, **changes: Any) -> Matrix:
    return replace(MATRIX, releases={name: replace(MATRIX.releases[name], **changes)}, overlays=())


def said(matrix: Matrix, locks: Path = LOCKS) -> list[str]:
    return [str(p) for p in lint_releases(matrix, locks)]


def test_every_release_agrees_with_its_wheel_lock_and_image_today() -> None:
    assert said(MATRIX) == []


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "another version": (SGLANG, {"version": "0.5.18"}, "version: version 0.5.18 belongs to sglang_0_5_18, and"),
    "than the snapshot": (SGLANG, {"version": "0.5.18"}, ".yaml:2 version: 0.5.18, and its snapshot is of 0.5.17; "),
    "than the lock": (SGLANG, {"version": "0.5.18"}, "locks sglang==0.5.17, and version is 0.5.18"),
    "another requirement": (SGLANG, {"requirement": "sglang==0.5.18"}, "'sglang==0.5.18' does not install 0.5.17"),
    "a loose requirement": (SGLANG, {"requirement": "sglang>=0.5.17"}, "does not install 0.5.17 and nothing else"),
    "any requirement": (SGLANG, {"requirement": "sglang"}, "does not install 0.5.17 and nothing else"),
    "a range of requirements": (SGLANG, {"requirement": "sglang==0.5.*"}, "does not install 0.5.17 and nothing else"),
    "another package": (SGLANG, {"requirement": "vllm==0.5.17"}, "installs vllm, and sglang is sglang"),
    "another tag": (VLLM, {"image": "vllm/vllm-openai:v0.26.1"}, "image: its tag is 0.26.1, and version is 0.26.0;"),
    "a tag that moves": (VLLM, {"image": "vllm/vllm-openai:latest"}, "image: its tag 'latest' names no version"),
    "no tag": (VLLM, {"image": "localhost:5000/vllm"}, "image: its tag '' names no version"),
    "a tag with a suffix": (VLLM, {"image": "vllm/vllm-openai:v0.27.0-cu130"}, "image: its tag is 0.27.0"),
    "another torch": (SGLANG, {"pins": {"torch": "==2.9.1"}}, "torch==2.9.1, and sglang_0_5_17's wheel requires torch"),
    "a wider transformers": (
        SGLANG,
        {"pins": {"transformers": ">=5"}},
        "pins.transformers: transformers>=5, and sglang",
    ),
    "another flashinfer": (SGLANG, {"pins": {"flashinfer_python": "==0.6.7"}}, "wheel requires flashinfer_python==0."),
    "pins that cannot be": (SGLANG, {"pins": {"torch": ">3,<2"}}, "pins.torch: torch"),
    "than the file's own pin": (SGLANG, {"pins": {"aiohttp": "==0.0.1"}}, "locks aiohttp==3"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_value_that_disagrees_is_told_with_both_and_with_what_decides(what: str) -> None:
    name, changes, text = WRONG[what]
    found = said(changed(name, **changes))
    assert any(text in problem for problem in found), found
    assert all(f"{name}.yaml:" in problem or f"{name}.lock:" in problem for problem in found)


def test_a_lock_of_other_versions_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / f"{SGLANG}.lock").write_text("# made\nsglang==0.5.16 \\\n    --hash=sha256:0\ntorch==2.9.1\n")
    found = said(changed(SGLANG), tmp_path)
    assert [p.partition(" ")[0].rpartition("/")[2] for p in found] == [f"{SGLANG}.lock:2", f"{SGLANG}.lock:4"]
    assert "locks torch==2.9.1, and the release's file requires torch==2.11.0, which decides" in found[1]


def test_a_recipe_that_installs_another_release_is_told() -> None:
    overlay = next(o for o in MATRIX.overlays if o.value.launcher.get("requirements") and "release" in o.value.when)
    other = replace(overlay, value=replace(overlay.value, launcher={"requirements": ["sglang[all]==0.5.9"]}))
    [found] = said(replace(MATRIX, releases={**MATRIX.releases}, overlays=(other,)))
    assert "launcher.requirements: 'sglang[all]==0.5.9' is not 0.5.10.post1" in found and found.startswith("recipes/")


def test_a_narrower_pin_and_a_local_tag_are_no_disagreement() -> None:
    pins = {"transformers": "==5.12.1", "no-such-library": ">=1"}
    assert said(changed(SGLANG, pins=pins)) == []
    assert said(changed(VLLM, image="mirror.example.org:5000/vllm/vllm-openai:0.26.0-x86_64")) == []


def test_what_has_no_snapshot_of_its_own_is_said_once() -> None:
    assert explain_unheld(MATRIX).endswith("sglang_fork_003, trtllm_1_3_0rc26, vllm_fork_003")
    assert explain_unheld(replace(MATRIX, releases={SGLANG: MATRIX.releases[SGLANG]})) == ""


def test_a_lock_is_read_by_name_version_and_line() -> None:
    text = "a==1.0 \\\n    --hash=sha256:b==2\nC_d==2.post1 ; python_version < '4'\n# e==3\n"
    assert read_lock(text) == {"a": ("1.0", 1), "c-d": ("2.post1", 3)}
