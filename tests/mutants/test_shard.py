"""Shares of mutmut's changes: each is tried on one machine, none is lost, and what was tried is added up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.__main__ import main
from tests.mutants.shard import Results, Share, count_results, merge_results, read_results, take_share

CHANGES = [f"matrix.pins.x_parse__mutmut_{n}" for n in range(1, 41)]
GATE = [f"reports.gate.gate.xǁGateǁjudge__mutmut_{n}" for n in range(1, 4)]


def write_meta(mutants: Path, changes: list[str], tried: dict[str, int] | None = None) -> Path:
    file = mutants / f"{changes[0].rpartition('.')[0].replace('.', '/')}.py.meta"
    file.parent.mkdir(parents=True, exist_ok=True)
    codes = {**dict.fromkeys(changes), **(tried or {})}
    # As mutmut 3.8.1 writes it; hashes say whether a function has changed since, and are kept.
    meta: dict[str, Any] = {"exit_code_by_key": codes, "hash_by_function_name": {"x_parse": "ab"}}
    extra: dict[str, Any] = {"durations_by_key": {}, "type_check_error_by_key": {}, "estimated_durations_by_key": {}}
    file.write_text(json.dumps(meta | extra))
    return file


def waiting(file: Path) -> set[str]:
    meta = json.loads(file.read_text())
    assert set(meta["exit_code_by_key"].values()) <= {None} and meta["hash_by_function_name"] == {"x_parse": "ab"}
    return set(meta["exit_code_by_key"])


def test_each_change_is_in_one_share(tmp_path: Path) -> None:
    shares = []
    for index in (1, 2, 3):
        file = write_meta(tmp_path / str(index), CHANGES)
        results, left = take_share(tmp_path / str(index), Share(index=index, count=3), "abc")
        shares.append(waiting(file))
        assert left == len(shares[-1]) > 5 and results.changes == {"matrix.pins": 40}
    assert set.union(*shares) == set(CHANGES) and sum(map(len, shares)) == 40


def test_what_was_tried_is_taken_out_and_what_is_left_stays(tmp_path: Path) -> None:
    file = write_meta(tmp_path, CHANGES)
    _, before = take_share(tmp_path, Share(index=1, count=2), "abc")
    mine = sorted(waiting(file))
    write_meta(tmp_path, mine, {mine[0]: 1, mine[1]: 0, mine[2]: 2})
    results, left = take_share(tmp_path, Share(index=1, count=2), "abc")
    assert results.codes == {mine[0]: 1, mine[1]: 0}, "an interrupted trial is none"
    assert left == before - 2 and waiting(file) == set(mine[2:])
    assert results.changes == {"matrix.pins": 40}, "of the whole module, not of what mutmut's file has left"
    assert read_results(tmp_path / "results.json") == results


def test_a_share_can_be_of_some_modules(tmp_path: Path) -> None:
    pins, gate = write_meta(tmp_path, CHANGES), write_meta(tmp_path, GATE)
    assert take_share(tmp_path, Share(globs=("reports.gate.*",)), "abc")[1] == 3
    assert (waiting(pins), waiting(gate)) == (set(), set(GATE))


def test_results_of_another_commit_are_not_mixed(tmp_path: Path) -> None:
    write_meta(tmp_path, CHANGES)
    take_share(tmp_path, Share(), "abc")
    with pytest.raises(ValueError, match="is of abc, the checkout of def"):
        take_share(tmp_path, Share(), "def")
    with pytest.raises(ValueError, match="got those of abc, def"):
        merge_results([Results(commit="abc"), Results(commit="def")])


def test_results_are_added_up_by_module() -> None:
    changes = {"matrix.pins": 40, "reports.gate.gate": 3}
    first = Results(commit="abc", changes=changes, codes={CHANGES[0]: 1, CHANGES[1]: 0, CHANGES[2]: 33})
    second = Results(commit="abc", changes=changes, codes={CHANGES[3]: -24, CHANGES[4]: 3, GATE[0]: -9})
    assert count_results(merge_results([first, second])) == {
        "matrix.pins": {"killed": 2, "timeout": 1, "survived": 1, "without_a_test": 1, "other": 0, "not_run": 35},
        "reports.gate.gate": {"killed": 0, "timeout": 0, "survived": 0, "without_a_test": 0, "other": 1, "not_run": 2},
    }


def test_the_program_takes_merges_and_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mutants, score = tmp_path / "mutants", tmp_path / "score.json"
    assert main(["take", "--mutants", str(mutants)]) == 2
    assert "holds no changes" in capsys.readouterr().err
    write_meta(mutants, GATE, {GATE[0]: 0, GATE[1]: 1})
    write_meta(mutants, CHANGES)
    assert main(["take", "1/1", "reports.*", "--mutants", str(mutants)]) == 0
    assert capsys.readouterr().out == "2 of 43 changes were tried here; 1 of the share are left\n"
    assert main(["merge", str(mutants / "results.json"), "--out", str(score)]) == 0
    assert json.loads(score.read_text())["survivors"] == [GATE[0]]
    write_meta(mutants, GATE)
    score.write_text(json.dumps({"modules": {"matrix.pins": {"not_run": 0}, "reports.gate.gate": {"not_run": 1}}}))
    assert main(["take", "1/1", "--without", str(score), "--mutants", str(mutants)]) == 0
    assert "1 of the share are left" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["take", "3/2"])
