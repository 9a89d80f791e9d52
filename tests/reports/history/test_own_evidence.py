"""The committed evidence of the H200 is a history: each question of the page answers over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError
from reports import __main__ as cli
from reports.history.collection import add_files

ARCHIVE = CHECKOUT / "docs" / "evidence" / "sm90-h200" / "vllm-0.33.0.tar.xz"
GRAPHS = "sm90x1.vllm_0_33_0.canary_bf16.cuda_graphs_full"


def test_an_archive_is_added_and_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = str(tmp_path / "runs")
    for _ in range(2):
        assert cli.main(["history", "add", runs, str(ARCHIVE)]) == 0
        assert "1 run of 38 cells" in capsys.readouterr().out
    assert cli.main(["history", "trend", runs, "--cells", GRAPHS, "--name", "wave_output_throughput"]) == 0
    said = capsys.readouterr().out
    assert "327.5 tok/s" in said and "too few to judge" in said
    assert cli.main(["history", "flakes", runs]) == 0 and "no flake" in capsys.readouterr().out
    assert cli.main(["history", "bisect-start", runs, "--test", "test_answers_first_token"]) == 0
    assert "NOT_RUN_AS_KNOWN in run 20261129T150137Z.8e44d1" in capsys.readouterr().out


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tar.xz").write_bytes(b"x")
    with pytest.raises(ConfigError, match="cannot be unpacked"):
        add_files(tmp_path / "runs", [tmp_path / "x.tar.xz"])
    assert not (tmp_path / "runs").exists()
