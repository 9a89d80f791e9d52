"""`glm-matrix parsers`: a table, a release's findings, one reply; bad words get the nearest good one."""

from __future__ import annotations

import json

import pytest

from matrix.parsers.command import main


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_table_has_a_row_for_each_release_and_pair(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--release", "vllm", "--parser", "glm47")
    assert code == 1
    assert "vllm_0_33_0" in out
    assert "sglang" not in out


def test_a_releases_findings_name_the_wheel_and_the_day(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--release", "sglang==0.5.23", "--parser", "glm45")
    assert code == 1
    assert out.startswith("sglang 0.5.23: the code of sglang-0.5.23-")
    assert "commit_hash" in out


def test_one_reply_is_shown_with_what_each_release_made_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--case", "commit_hash", "--parser", "glm45", "--release", "sglang_0_5_23")
    assert code == 1
    assert "<arg_value>39e76845</arg_value>" in out
    assert '{"text": "inf"}' in out
    assert run(capsys, "--case", "word", "--parser", "glm47", "--release", "vllm_0_33_0")[0] == 0


def test_everything_is_there_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--release", "vllm==0.33.0", "--json")
    assert {"pair", "kind", "reach", "releases", "cases"} <= set(json.loads(out)[0])
    _, out, _ = run(capsys, "--case", "word", "--json")
    assert json.loads(out)[0]["case"] == "word"


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (("--release", "vllm==0.33"), "vllm==0.33.0"),
        (("--parser", "glm74"), "glm47"),
        (("--case", "comit_hash"), "commit_hash"),
    ],
)
def test_a_bad_word_gets_the_nearest_good_one(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], nearest: str
) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert nearest in err
