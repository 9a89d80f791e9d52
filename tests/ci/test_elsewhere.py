"""pytest started in another folder, with the checkout's environment active: it names the line that runs the suites."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ci.console_script import PLUGIN, write_plugin
from matrix.checkout import CHECKOUT


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    made = tmp_path / "site-packages"
    made.mkdir()
    write_plugin(made, CHECKOUT)
    return made


def run_elsewhere(packages: Path, *words: str) -> subprocess.CompletedProcess[str]:
    folder = packages.parent / "elsewhere"
    folder.mkdir()
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("given", [(), ("-c", str(CHECKOUT / "pyproject.toml")), ("--rootdir", str(CHECKOUT))])
def test_an_option_of_the_suites_is_answered_with_the_line_that_runs_them(
    given: tuple[str, ...], packages: Path
) -> None:
    done = run_elsewhere(packages, *given, "--cells", "cpu.*")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "unrecognized arguments: --cells" in done.stderr
    said = " ".join(["-p no:cacheprovider", *given, "--cells 'cpu.*'"])
    assert f"glm-matrix: its options and tests belong to its suites; name them: pytest {CHECKOUT}/suites {said}" in (
        done.stderr
    )


def test_a_mark_of_the_suites_that_selects_nothing_is_answered_too(packages: Path) -> None:
    done = run_elsewhere(packages, "-m", "sm120")
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    assert f"name them: pytest {CHECKOUT}/suites -p no:cacheprovider -m sm120" in done.stdout


def test_that_line_works_and_says_nothing_of_it(packages: Path) -> None:
    words = ["--cells", "cpu.llamacpp_2026_10_11549.canary_bf16.baseline", "--collect-only", "-q", "-k", "first_token"]
    done = run_elsewhere(packages, str(CHECKOUT / "suites" / "test_boot.py"), *words)
    assert done.returncode == 0 and "test_answers_first_token[cpu.llamacpp" in done.stdout, done.stdout + done.stderr
    assert "name them" not in done.stdout + done.stderr


def test_in_the_checkout_a_wrong_option_is_answered_with_the_nearest_only(packages: Path) -> None:
    done = run_elsewhere(packages, str(CHECKOUT / "suites"), "--dept", "full")
    assert "did you mean '--depth'?" in done.stderr and "name them" not in done.stderr


def test_the_copy_imports_nothing_of_the_project(packages: Path) -> None:
    text = (packages / f"{PLUGIN}.py").read_text()
    assert f"CHECKOUT: Final = Path({str(CHECKOUT)!r})" in text
    assert not any(f"from {top}" in text for top in ("matrix", "ci", "suites", "fixtures", "reports"))
