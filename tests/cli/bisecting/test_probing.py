"""The folder that a probe reads plans exactly the launch that is asked about, on a release that no axis knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.bisecting.environment import Environments, _list_beside, _list_constraints
from cli.bisecting.launching import Launching
from cli.bisecting.probing import name_requirement, write_matrix
from fixtures.launch.venv.build import Venvs
from matrix.bisecting.releases import place_cell
from matrix.bisecting.settings import list_units, write_recipe
from matrix.errors import HostError
from matrix.planning.owed import read_owed
from matrix.planning.plan import make_plan
from matrix.upgrading.of_cells import find_cell
from matrix.yaml.load import load_matrix, read_matrix
from reports.history.index import find_evidence
from tests.reports import world

OWN = "cpu.llamacpp_2026_10_11549.canary_bf16.chunked_prefill"
TEST = "test_answers_first_token"


def test_a_launch_without_a_unit_on_a_release_off_the_axes_is_planned_as_asked(tmp_path: Path) -> None:
    matrix = load_matrix()
    cell = find_cell(matrix, OWN)
    moved = place_cell(matrix, cell, "2026.7.9873")
    plan = make_plan(matrix, moved)
    units = list_units(plan, make_plan(matrix, replace(moved, features=frozenset())))
    recipe = write_recipe(plan, [u for u in units if u.path == ("--ubatch-size",)], {"environment": "/opt/e"})
    made = read_matrix(write_matrix(tmp_path / "m", matrix, moved, recipe, cell))
    there = find_cell(made, moved.id)
    planned = make_plan(made, there)
    assert [str(u) for u in units] == ["--batch-size 64 (instead of 2048)", "--ubatch-size 64 (instead of 256)"]
    args = {**plan.values("args"), "--ubatch-size": 256}
    assert planned.values("args") == args and planned.values("launcher")["environment"] == "/opt/e"
    assert there.release.requirement == "xllamacpp==2026.7.9873" and there.release.module is None
    assert name_requirement(cell, "1.0") == "xllamacpp==1.0"


def test_an_environment_differs_from_ours_in_the_engine_alone() -> None:
    listed, bounds = list(_list_beside("xllamacpp==1.0")), list(_list_constraints("xllamacpp==1.0"))
    assert "xllamacpp==1.0" in listed and not any(r.startswith("xllamacpp==2") for r in (*listed, *bounds))
    assert any(b.startswith("numpy==") for b in bounds) and len(bounds) > 30


class Folder(Environments):
    """Environments that need nothing, or cannot be made."""

    def ensure(self, plan: Any, requirement: str) -> dict[str, Any]:
        if "2026.8" in requirement:
            raise HostError("no wheel of it\nmore words")
        return {}


def make_launching(out: Path, status: str, calls: list[Sequence[str]]) -> Launching:
    def run(argv: Sequence[str], log: Path) -> int:
        calls.append(argv)
        log.write_text("usage: pytest\nERROR: nothing selected\n")
        given = dict(word.split("=", 1) for word in argv if word.startswith("--") and "=" in word)
        if status:
            who = {"cell": given["--cells"], "nodeid": argv[-1], "test": TEST, "fingerprint": "f"}
            records = world.seal([{"kind": "run"}, {"kind": "result", **who, "status": status}], "r1", world.BEGUN)
            Path(given["--evidence"]).write_bytes(world.write(records))
        return 4

    cell = find_cell(load_matrix(), OWN)
    items = [i for i in read_owed().items if i.test == TEST]
    made = Folder(folder=out, venvs=Venvs(locks=out))
    return Launching(
        matrix=load_matrix(), cell=cell, out=out, items=items, depth="quick", test=TEST, run=run, environments=made
    )


@pytest.mark.parametrize(
    ("version", "status", "answer", "why"),
    [
        ("2026.7.9873", "PASS", "good", "PASS"),
        ("2026.7.9873", "CRASH", "bad", "CRASH"),
        ("2026.7.9873", "FAIL", "bad", "FAIL"),
        ("2026.7.9873", "HOST_ERROR", "none", "HOST_ERROR"),
        ("2026.7.9873", "", "none", "recorded nothing: usage: pytest / ERROR: nothing selected"),
        ("2026.8.10229", "PASS", "none", "HOST_ERROR no wheel of it / more words"),
    ],
)
def test_a_boot_asks_one_test_of_one_cell_of_its_own_matrix(
    tmp_path: Path, version: str, status: str, answer: str, why: str
) -> None:
    calls: list[Sequence[str]] = []
    observed, told = make_launching(tmp_path, status, calls).boot(version)
    assert observed.answer == answer and why in observed.why
    assert (told is None) is (not status or version == "2026.8.10229")
    moved = OWN.replace("2026_10_11549", version.replace(".", "_"))
    if version != "2026.8.10229":
        (argv,) = calls
        assert argv[-1] == f"suites/test_boot.py::{TEST}[{moved}]" and f"--matrix={tmp_path / 'matrix'}" in argv


def test_a_launch_without_some_settings_leaves_nothing_that_is_called_evidence_of_the_cell(tmp_path: Path) -> None:
    launching = make_launching(tmp_path, "PASS", [])
    unit = list_units(launching.plan_of("2026.10.11549"), None)[0]
    _, whole = launching.boot("2026.10.11549")
    _, part = launching.boot("2026.10.11549", [unit])
    assert whole and part
    assert find_evidence(tmp_path) == [whole.path] and part.path.parent.name == "settings"


@pytest.mark.parametrize(
    ("cell_id", "said"), [("sm100x8.trtllm_1_3_0rc3.glm5_fp8.baseline", "no image of it is known")]
)
def test_a_release_that_cannot_be_had_is_no_answer(tmp_path: Path, cell_id: str, said: str) -> None:
    matrix = load_matrix()
    cell = place_cell(matrix, find_cell(matrix, cell_id), "1.3.0rc9")
    made = Environments(folder=tmp_path, venvs=Venvs(locks=tmp_path))
    with pytest.raises(HostError, match=said):
        made.ensure(make_plan(matrix, cell), "")
    own = make_plan(matrix, find_cell(matrix, OWN))
    with pytest.raises(HostError, match="published as an image only"):
        made.ensure(own, "")


def test_places_are_absolute_because_pytest_runs_in_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    calls: list[Sequence[str]] = []
    observed, _ = make_launching(Path("out"), "PASS", calls).boot("2026.10.11549")
    assert observed.answer == "good"
    assert {f"--matrix={tmp_path}/out/matrix", f"--evidence={tmp_path}/out/probes/001-2026.10.11549.jsonl"} <= {
        *calls[0]
    }
