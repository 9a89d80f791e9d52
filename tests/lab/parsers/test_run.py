"""What a worker is asked, and what a maintainer may ask for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.parsers.__main__ import main, make_parser
from lab.parsers.imports import LIBRARIES, REAL
from lab.parsers.run import run_release, write_suites
from lab.parsers.suites import PAIRS
from matrix.errors import HostError
from matrix.parsers.corpus import load_corpus
from matrix.parsers.findings import format_of


@pytest.mark.parametrize("engine", PAIRS)
def test_each_pair_is_asked_every_case_of_its_format(engine: str) -> None:
    suites = write_suites(engine, load_corpus())
    assert json.loads(json.dumps(suites)) == suites
    for pair, suite in zip(PAIRS[engine], suites, strict=True):
        assert [case["id"] for case in suite["cases"]] == [case.id for case in load_corpus().list_cases(pair.format)]
        assert format_of(suite["parser"]) == pair.format


def test_torch_and_kernels_are_stood_in_for_and_parsers_never() -> None:
    assert {"torch", "transformers", "triton"} <= set(LIBRARIES)
    assert not any("regex" in name or "pydantic" in name for name in LIBRARIES)
    assert all(any("parser" in pattern for pattern in patterns) for patterns in REAL.values())


@pytest.mark.parametrize("requirement", ["vlm==0.33.0", "vllm", "ktransformers==1"])
def test_an_engine_without_parsers_is_told_with_the_nearest_word(requirement: str) -> None:
    with pytest.raises(HostError, match="NAME==VERSION of vllm or sglang or trtllm"):
        run_release(requirement)


def test_a_release_that_cannot_run_is_told_and_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vlm==0.33.0"]) == 2
    assert "did you mean 'vllm'" in capsys.readouterr().err


def test_a_stub_that_nobody_pinned_files_of_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"no code, and sources\.yaml pins no files"):
        run_release("trtllm==1.3.0rc26", tmp_path)


def test_all_snapshots_are_those_with_code_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("lab.parsers.__main__.run_release", lambda requirement, _: _refuse(asked, requirement))
    main(["--snapshots", "--again"])
    # releases of stubs are on the index by the dozen: those without pinned files would fail the job every day
    assert [name for name in asked if name.startswith("trtllm")] == ["trtllm==1.3.0rc3"]
    assert {"vllm==0.33.0", "sglang==0.5.10.post1"} <= set(asked)


def _refuse(asked: list[str], requirement: str) -> None:
    asked.append(requirement)
    raise HostError("not run")


def test_nothing_asked_is_bad_input() -> None:
    with pytest.raises(SystemExit):
        main([])
    assert make_parser().parse_args(["--snapshots"]).snapshots
