"""The pytest plugin as a person meets it: real collection over the real matrix, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from matrix.checkout import CHECKOUT
from matrix.collection.plugin import OWN_PLUGINS, OWN_ROOMS, _collect_suites, _keep_for_good, require_own_plugins
from tests.pytest_forkserver import run_pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return lambda *args: run_pytest("-q", "--evidence", tmp_path / "evidence.jsonl", *args)


def test_nothing_runs_without_assertions_even_where_warnings_are_ignored() -> None:
    words = [sys.executable, "-O", "-m", "pytest", "-W", "ignore", "--collect-only", "-q", "suites/test_boot.py"]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 4 and "wrong answers would pass: unset PYTHONOPTIMIZE" in done.stderr


@pytest.mark.parametrize("name", ["evidence-recorder", "evidence-delivery", "suites.plugin", "reports.evidence.plugin"])
def test_a_part_of_this_program_cannot_be_turned_off(name: str) -> None:
    """Without the recorder no evidence is written, and a file of an earlier run stays in its place."""
    config = SimpleNamespace(option=SimpleNamespace(plugins=["xdist", f"no:{name}"]))
    with pytest.raises(pytest.UsageError, match=f"-p no:{name}: it is a part of this program"):
        require_own_plugins(cast(pytest.Config, config))


def test_other_plugins_may_be_turned_off_and_pytest_refuses_ours(run: Run) -> None:
    others = SimpleNamespace(option=SimpleNamespace(plugins=["no:cacheprovider", "no:randomly", "reportlog"]))
    require_own_plugins(cast(pytest.Config, others))
    done = run("-p", "no:evidence-recorder", "suites/test_boot.py")
    assert done.returncode == 4 and "-p no:evidence-recorder: it is a part of this program" in done.stderr


def test_every_plugin_that_registers_itself_is_known_by_name() -> None:
    named = re.compile(r'pluginmanager\.register\([^"]*"([^"]+)"')
    files = (path for room in OWN_ROOMS for path in (CHECKOUT / room).rglob("*.py"))
    assert {name for path in files for name in named.findall(path.read_text("utf-8"))} == OWN_PLUGINS


def test_without_the_hardware_it_says_what_it_found_and_needs_and_is_not_green(run: Run) -> None:
    done = run("-m", "sm120")
    assert done.returncode == 4
    assert "no selected cell can run here" in done.stderr
    assert "sm120x4          4 x NVIDIA RTX PRO 6000" in done.stderr
    assert "--all-cells" in done.stderr and "--endpoint" in done.stderr


def test_where_no_test_is_left_the_option_that_left_it_out_is_named(run: Run) -> None:
    done = run("--cells", "cpu.llamacpp*.canary_bf16.baseline", "-k", "needel")
    assert done.returncode == 4 and "no selected cell can run here" not in done.stderr
    assert "1 selected cell can run here, and -k 'needel' leaves no test" in done.stderr


def test_collecting_works_anywhere(run: Run) -> None:
    done = run("-m", "sm120x4 and sglang_0_5_10_post1 and glm51_478b_nvfp4", "--collect-only")
    assert done.returncode == 0, done.stdout
    assert "test_finds_the_needle_beyond_index_topk[sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.mtp" in done.stdout


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (("-m", "sm12O"), "no such marker 'sm12O'; did you mean 'sm120'?"),
        (("-m", "needel"), "did you mean 'needle'?"),
        (("-m", "cell(feature='mpt')"), "no cell has feature 'mpt'; did you mean 'mtp'?"),
        (("--cells", "cpu.lamacpp*"), "matches no cell"),
        (("--rig", "sm120x5"), "no rig 'sm120x5'; did you mean"),
        (("--endpoint", "http://127.0.0.1:1"), "--endpoint is one server"),
    ],
)
def test_a_word_that_selects_nothing_is_an_error_with_a_hint(run: Run, args: tuple[str, ...], hint: str) -> None:
    done = run(*args)
    assert done.returncode == 4 and hint in done.stderr


def test_an_option_given_twice_selects_both(run: Run) -> None:
    """The first word must not be lost without one."""
    cells = "cpu.llamacpp_2026_10_11549.canary_bf16.baseline", "sm90x1.vllm_0_26_0.canary_bf16.baseline"
    selected = [word for cell in cells for word in ("--cells", cell, "--rig", cell.partition(".")[0])]
    done = run("--all-cells", "--collect-only", *selected)
    assert all(cell in done.stdout for cell in cells), done.stdout


def test_cells_without_hardware_can_be_kept_as_visible_skips(run: Run) -> None:
    done = run("--all-cells", "--cells", "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline", "-rs")
    assert "SKIP_NO_HW: needs 4 x NVIDIA RTX PRO 6000" in done.stdout
    assert "passed" not in done.stdout


def test_feature_tests_are_made_only_for_cells_that_ask(run: Run) -> None:
    done = run("--collect-only", "-m", "cpu and llamacpp")
    drafts = [line for line in done.stdout.splitlines() if "test_drafts_are_accepted" in line]
    assert drafts and all("mtp]" in line for line in drafts)


def test_tests_about_canaries_are_made_only_for_canaries(run: Run) -> None:
    """A checkpoint of 700 GB has no reference: a test that could only say so would make each of its cells red."""
    cells = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline", "sm120x1_rtx5090.vllm_0_33_0.canary_bf16.mtp"
    done = run("--all-cells", "--collect-only", "--cells", *cells)
    made = [line for line in done.stdout.splitlines() if "test_numbers_agree_with_the_reference" in line]
    assert len(made) == 1 and "canary_bf16" in made[0]


def test_items_are_ordered_so_that_each_launch_is_needed_once(run: Run) -> None:
    done = run("--collect-only", "-m", "cpu and llamacpp")
    cells = [
        line.partition("[")[2].partition("]")[0].partition("-")[0] for line in done.stdout.splitlines() if "[" in line
    ]
    changes = sum(a != b for a, b in pairwise(cells)) + 1
    assert changes == len(set(cells)) > 5


@pytest.mark.parametrize(
    ("folder", "collected"),
    [("docs/how-to", ["/c/suites"]), ("", ["given"]), ("tests/cli", ["given"]), ("../x", ["given"])],
)
def test_started_in_a_folder_without_tests_it_collects_the_suites(folder: str, collected: list[str]) -> None:
    root = Path("/c")
    config = SimpleNamespace(
        args_source=pytest.Config.ArgsSource.INVOCATION_DIR,
        invocation_params=SimpleNamespace(dir=Path("/x") if folder == "../x" else root / folder),
        rootpath=root,
        getini=lambda _: ["suites"],
        args=["given"],
    )
    _collect_suites(config)  # type: ignore[arg-type]
    assert config.args == collected


def test_only_a_run_that_ends_its_process_keeps_its_items_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: list[int] = []
    monkeypatch.setattr("gc.freeze", lambda: frozen.append(1))
    _keep_for_good()
    assert not frozen, "this test's own process goes on"
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    _keep_for_good()
    assert frozen
