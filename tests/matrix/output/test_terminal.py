"""`explain` and `list` fit a terminal and say each thing once; `--wide` keeps one line for each."""

from __future__ import annotations

import itertools

import pytest

from matrix.__main__ import main
from matrix.output.explained import WIDTH, group_by_reason, render_explained
from matrix.output.listing import ListedRow, render_cells
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import make_plan
from matrix.yaml.load import load_matrix

CELL = "sm120x4.sglang_0_5_23.glm51_478b_nvfp4.indexcache"
RUNNABLE = expand_matrix(load_matrix()).runnable
PLANS = [
    make_plan(load_matrix(), cell, form)
    for cell in RUNNABLE[:: len(RUNNABLE) // 40]
    for form in ("recommended", "published")
]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    main(list(words))
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("planned", PLANS, ids=lambda p: f"{p.cell.id}-{p.form}")
def test_explain_fits_and_loses_no_setting(planned: object) -> None:
    text = render_explained(planned)  # type: ignore[arg-type]
    assert max(map(len, text.splitlines())) <= WIDTH
    flat = "".join(text.split())
    for group in group_by_reason(planned):  # type: ignore[arg-type]
        assert all("".join(value.split()) in flat and where in text for value, where in group.lines)


def test_explain_says_each_reason_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "explain", CELL)
    heads = [line for line in lines if line.startswith("# One tensor-parallel rank")]
    assert len(heads) == 1
    assert any(line.startswith("--tool-call-parser glm47 ") and "recipes/sglang.yaml:" in line for line in lines)


def test_wide_is_a_line_for_each_setting(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "explain", CELL, "--wide")
    assert lines[1].split() == ["value", "set", "by", "why"]
    assert max(map(len, lines)) > WIDTH


def test_list_fits_and_names_each_known_failure_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "list")
    assert max(map(len, lines[:-1])) <= WIDTH
    assert sum("planted_fsfs_tool_results" in line for line in lines) == 1
    [at] = [i for i, line in enumerate(lines) if line.startswith("cpu.llamacpp_2026_10_11549.canary_fsfs.indexcache ")]
    numbers = lines[at].split()[-1]
    for line in itertools.takewhile(lambda line: line.startswith(" "), lines[at + 1 :]):  # goes on under the column
        numbers += line.strip()
    [legend] = [line for line in lines if line.endswith(" planted_fsfs")]
    ends = [[int(n) for n in run_.split("-")] for run_ in numbers.split(",")]  # 3-7,13
    assert any(run_[0] <= int(legend.split()[0]) <= run_[-1] for run_ in ends)


def test_numbers_that_do_not_fit_stand_under_their_column() -> None:
    names = [f"k{n:02}" for n in range(20)]
    rows = [ListedRow("a.b", "0", "published", names[::2]), *(ListedRow("c.d", "0", "", [name]) for name in names)]
    head, *lines = render_cells(rows).splitlines()
    at = head.index("known")
    own = lines[: next(i for i, line in enumerate(lines) if line.startswith("c.d"))]
    assert len(own) > 1 and max(map(len, own)) <= WIDTH
    assert "".join(line[at:] for line in own) == "1,3,5,7,9,11,13,15,17,19"


def test_list_shows_what_is_not_run_under_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "list", "--excluded", "--rig", "cpu")
    assert max(map(len, lines[:-1])) <= WIDTH
    assert len([line for line in lines if "cpu_runs_canaries_only" in line]) == 1
    assert any(line.startswith("cpu.") and ".glm5_fp8." in line for line in lines)
