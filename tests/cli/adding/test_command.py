"""`glm-matrix add`: what is written loads, what is refused leaves no trace, and errors name the nearest word."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from cli.adding.command import main, make_parser
from cli.adding.rig import insert_rig, insert_runner
from cli.adding.values import merge_mapping, parse_value
from matrix.errors import ConfigError
from matrix.yaml.load import read_matrix
from tests.matrix.world import write

CLAIM = [
    *("claim", "--id", "fast", "--title", "Fast", "--when", "rig=sm120x4", "checkpoint=small", "--source", "me"),
    *("--measurements", "{metric: decode_throughput, value: 61, unit: tok/s, conditions: {concurrency: 1}}"),
]
FAILURE = [
    *[
        "known-failure",
        "--id",
        "k9",
        "--when",
        "engine=toy",
        "sm=120",
        "--expect",
        "intermittent",
        "--symptom",
        "slow",
        "--owner",
        "me",
    ],
    *("--issue", "https://example.org/1", "--fails", "at=before_ready", "how=exit", "signature=boom at \\d+"),
    *("--source", "{kind: report, release: toy==1.0, gpu: Big, sm: [120], form: bf16}"),
]
RELEASE = ["release", "--engine", "toy", "--version", "3.0", "--like", "toy_1", "--source", "read"]
PATCH = [
    *"patch --id my_patch --title T --when_ x --source s --upstream https://x --retires never".replace(
        "--when_ x", "--applies-when engine=toy"
    ).split(),
    *("--why", "because", "--verify", "function=f", "cases=[{says: a, config: {a: 1}, expect: true}]"),
    *("--target", "package=toy", "file=toy/a.py", f"sha256_before={'a' * 64}", f"sha256_after={'b' * 64}"),
    *("--edit", "line=1", "find=x", "replace=[]"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path)


def texts(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*.yaml"))}


def add(root: Path, *words: str) -> int:
    return main([*words, "--root", str(root)])


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (CLAIM, "claims/fast.yaml"),
        (FAILURE, "known_failures.yaml"),
        (RELEASE, "axes/engines/toy/toy_3_0.yaml"),
        (PATCH, "patches/my_patch/patch.yaml"),
        (["rig", "--gpu", "big", "--count", "2"], "axes/hardware/big.yaml"),
    ],
    ids=["claim", "known-failure", "release", "patch", "rig"],
)
def test_what_is_written_is_read_back(
    words: list[str], file: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = texts(root)
    assert add(root, *words) == 0, capsys.readouterr().err
    assert {name for name, text in texts(root).items() if before.get(name) != text} == {file}
    assert "next: " in capsys.readouterr().out
    read_matrix(root)


def test_the_entries_are_those_that_were_asked_for(root: Path) -> None:
    assert [add(root, *words) for words in (CLAIM, FAILURE, RELEASE, ["rig", "--gpu", "big", "--count", "2"])] == [
        0
    ] * 4
    matrix = read_matrix(root)
    assert matrix.claims[-1].value.measurements[0].value == 61
    known = matrix.known_failures[-1].value
    assert (known.id, known.fails.signature) == ("k9", "boom at \\d+") and known.review_by > known.added
    assert matrix.releases["toy_3_0"].formats == matrix.releases["toy_1"].formats
    assert matrix.rigs["sm120x2"].gpus == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([w.replace("checkpoint=small", "checkpoint=smal") for w in CLAIM], "did you mean 'small'"),
        ([w.replace("decode_throughput", "decode_troughput") for w in CLAIM], "did you mean 'decode_throughput'"),
        ([w.replace("how=exit", "how=exits") for w in FAILURE], "did you mean 'exit'"),
        ([w.replace("engine=toy", "engin=toy") for w in FAILURE], "did you mean 'engine'"),
        (["release", "--engine", "toi", "--version", "3.0"], "did you mean 'toy'"),
        (["release", "--engine", "toy", "--version", "3.0", "--like", "toy_9", "--source", "x"], "did you mean 'toy_"),
        (["rig", "--gpu", "bigg", "--count", "2"], "did you mean 'big'"),
        (["rig", "--gpu", "big", "--count", "4"], "sm120x4 is 4 x Big GPU already"),
        (["rig", "--gpu", "big", "--count", "0"], "expected 1 to 72 GPUs"),
        ([*CLAIM[:2], "../../x", *CLAIM[3:]], "--id '../../x'"),
        (["claim", "--id", "x", "--title", "T"], "missing"),
    ],
)
def test_what_is_refused_leaves_no_trace(
    words: list[str], told: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = texts(root)
    assert add(root, *words) == 2
    assert told in capsys.readouterr().err
    assert texts(root) == before


def test_a_dry_run_prints_and_writes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = texts(root)
    assert add(root, *CLAIM, "--dry-run") == 0
    assert yaml.safe_load(capsys.readouterr().out)["measurements"][0]["unit"] == "tok/s"
    assert texts(root) == before


def test_windows_line_ends_stay(root: Path) -> None:
    path = root / "known_failures.yaml"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert add(root, *FAILURE) == 0
    assert b"\n" not in path.read_bytes().replace(b"\r\n", b"")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("rigs:\n  a: 4 # four\nfp4: true\n", "rigs:\n  a: 4 # four\n  b: 2\nfp4: true\n"),
        ("rigs: {a: 4}\nfp4: true\n", "rigs: {a: 4, b: 2}\nfp4: true\n"),
        ("rigs:\n  a: 4\n", "rigs:\n  a: 4\n  b: 2\n"),
    ],
)
def test_a_rig_is_a_line_more(before: str, after: str) -> None:
    assert insert_rig(before, "b", 2) == after


def test_a_new_rig_has_no_runner_yet() -> None:
    assert yaml.safe_load(insert_runner("runners:\n  a: {none: x}\n", "b"))["runners"]["b"] == {
        "none": "nobody has one on a runner yet"
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("true", True),
        ("a: b", "a: b"),
        ("{a: 1}", {"a": 1}),
        ("[x, 2]", ["x", 2]),
        ("it's", "it's"),
        ("- a", "- a"),
        ("2027-02-28", date(2027, 2, 28)),
        ("0.5", 0.5),
        ("12.0", 12.0),
        *((text, text) for text in ("2.10", "5.20", "1:30", "0777", "no", "on", "2027-99-99", "9" * 5_000, "!x")),
    ],
)
def test_words_become_values(text: str, value: object) -> None:
    found = parse_value("--x", text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 5_000, "expected YAML"),
        ("[" * 30_000 + "]" * 30_000, "levels deep"),
        ("{a: 2027-02-30}", "day"),
        ("{a: " + "9" * 5_000 + "}", "expected YAML"),
        ("{a: &x [1], b: *x}", "anchor"),
        ("{a: no}", "false"),
        ("{a: 1, a: 2}", "duplicate key"),
        ("{[a]: b}", "key"),
        ("{a: !x b}", "tag"),
        ('{a: "\\x1b[2J"}', "control character"),
    ],
)
def test_hostile_brackets_are_one_short_error(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        parse_value("--x", text)
    assert len(str(refused.value)) < 400


def test_an_impossible_date_leaves_no_trace(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = texts(root)
    assert add(root, *FAILURE, "--review-by", "2027-99-99") == 2
    assert "review_by" in capsys.readouterr().err and texts(root) == before


def test_a_version_keeps_its_digits(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["release", "--engine", "toy", "--version", "3.10", "--like", "toy_1", "--source", "x"]
    assert add(root, *words, "--pins", "torch=2.10", "--dry-run") == 0
    assert yaml.safe_load(capsys.readouterr().out)["pins"] == {"torch": "2.10"}


def test_a_copied_release_registers_what_the_snapshot_of_the_other_does(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The new one has no snapshot yet, and without a class none of its cells could run."""
    matrix = read_matrix(root)
    wanted = next(iter(matrix.checkpoints.values())).architecture
    file = root / "axes/engines/toy/toy_1.yaml"
    file.write_text(re.sub(r"(?m)^architectures:.*\n", "", file.read_text()))
    (root / "snapshots").mkdir()
    (root / "snapshots" / "toy_1.json").write_text(json.dumps({"registered": [wanted, "Other"]}))
    assert add(root, *RELEASE, "--dry-run") == 0
    assert yaml.safe_load(capsys.readouterr().out)["architectures"] == [wanted]


def test_a_mapping_is_pairs_and_yaml() -> None:
    assert merge_mapping("--when", ["engine=vllm", "{sm: [90]}", "sm=120"]) == {"engine": "vllm", "sm": 120}
    with pytest.raises(ConfigError, match="expected key=value"):
        merge_mapping("--when", ["nothing"])


def test_checkpoints_are_still_added_as_before() -> None:
    assert make_parser().parse_args(["checkpoint", "/m"]).place == "/m"


@pytest.mark.parametrize("count", ["0", "-1", "73", "99999999999999"])
def test_a_rig_has_as_many_gpus_as_there_are(count: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = texts(root)
    assert add(root, "rig", "--gpu", "big", "--count", count) == 2
    assert texts(root) == before
    capsys.readouterr()


def test_keys_that_are_missing_are_named_as_options(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the line of an entry that was taken back."""
    assert main(["known-failure", "--id", "mine", "--symptom", "it hangs", "--root", str(root)]) == 2
    said = capsys.readouterr().err
    assert "give --when --fails --expect" in said and "--symptom" not in said
    assert "glm-matrix add known-failure --help" in said
