"""One fault in a tiny matrix, and the one problem that it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.matrix.world import FILES, write
from tests.matrix.yaml.test_load import problems


def change(name: str, old: str, new: str) -> dict[str, str | None]:
    assert old in FILES[name], old
    return {name: FILES[name].replace(old, new, 1)}


TOY = "axes/engines/toy/engine.yaml"
ROOTS: dict[str, tuple[dict[str, str | None], str]] = {  # what is wrong -> the one problem that is told
    "a key of a GPU": (
        change("axes/hardware/big.yaml", "vram_bytes", "vram_byts"),
        "big.yaml:4 vram_byts: unknown key",
    ),
    "a key of an engine": (change(TOY, "dialect", "dialekt"), "engine.yaml:3 dialekt: unknown key 'dialekt'; did you"),
    "a key of a release": (
        change("axes/engines/toy/toy_2.yaml", "version", "verison"),
        "toy_2.yaml:2 verison: unknown",
    ),
    "a key of a checkpoint": (
        change("axes/checkpoints/small.yaml", "experts:", "expertz:"),
        "small.yaml:7 expertz: unk",
    ),
    "a key of a feature": (change("axes/features/mtp.yaml", "title", "titel"), "mtp.yaml:2 titel: unknown key 'titel'"),
    "a key of an overlay": (
        change("recipes/toy.yaml", "args:", "argz:"),
        "recipes/toy.yaml:4 overlays.0.argz: unknown",
    ),
    "a key of a rule": (change("rules.yaml", "reason", "reasn"), "rules.yaml:5 rules.0.reasn: unknown key 'reasn'"),
    "a key of a known failure": (change("known_failures.yaml", "symptom", "sympton"), "known_failures.yaml:10 known_"),
    "a family": (
        change("axes/checkpoints/small.yaml", "canary", "canery"),
        "small.yaml:3 family: no family is 'canery'",
    ),
    "a dialect": (change(TOY, "llamacpp", "lamacpp"), "engine.yaml:3 dialect: 'lamacpp' is not valid here; did you"),
    "a condition of kernels that the host compiles": (
        {
            TOY: f"{FILES[TOY]}compiles:\n"
            "  - {id: k, what: k, at: load, keeps: ~/k, variable: K, source: k,\n     when: {engine: toi}}\n"
        },
        "toy.compiles.0.when.engine: no engine is 'toi'; did you mean 'toy'?",
    ),
    "an SM": (
        change("axes/hardware/big.yaml", "sm: 120", "sm: 12O"),
        "big.yaml:3 sm: expected a whole number, got '12O'",
    ),
    "an id of an engine": (change(TOY, "id: toy", "id: yot"), "engine.yaml:1 id: expected 'toy' as the file is named"),
    "an id of a feature": (change("axes/features/mtp.yaml", "id: mtp", "id: mpt"), "mtp.yaml:1 id: expected 'mtp'"),
    "an id of a GPU": (change("axes/hardware/cpu.yaml", "id: cpu", "id: cup"), "cpu.yaml:1 id: expected 'cpu' as"),
    "rigs": (change("axes/hardware/cpu.yaml", "rigs: {cpu: 0}", "rigz: {cpu: 0}"), "cpu.yaml:7 rigz: unknown key"),
    "a rig's name": (
        change("axes/hardware/cpu.yaml", "{cpu: 0}", "{cpus: 0}"),
        "no rig is 'cpu'; did you mean 'cpus'?",
    ),
    "a version": (change("axes/engines/toy/toy_2.yaml", '"2.0.post1"', "2.0.x1"), "toy_2.version: '2.0.x1' is no vers"),
    "a version that is a number": (
        change("axes/engines/toy/toy_2.yaml", '"2.0.post1"', "2.0"),
        "2 version: expected t",
    ),
    "a format of a release": (
        change("axes/engines/toy/toy_1.yaml", "fp8", "fp9"),
        "no format is 'fp9'; did you mean 'fp8'?",
    ),
    "a key twice": (
        change("axes/features/mtp.yaml", "id: mtp", "id: mtp\nid: mtp"),
        "mtp.yaml:2 id: duplicate key 'id'",
    ),
    "a broken engine": ({TOY: "id: [\n"}, "engine.yaml:1: not valid YAML"),
    "a broken GPU": ({"axes/hardware/big.yaml": "id: [\n"}, "big.yaml:1: not valid YAML"),
    "a broken checkpoint": (
        {"axes/checkpoints/small.yaml": "- a\n"},
        "small.yaml:1: expected the keys of one Checkpoint",
    ),
    "an empty feature": ({"axes/features/mtp.yaml": ""}, "mtp.yaml:1: expected the keys of one Feature, got nothing"),
    "an empty list": ({"recipes/toy.yaml": ""}, "recipes/toy.yaml:1: expected one key 'overlays' with a list"),
    "no engine": ({TOY: None}, "axes/engines/*/engine.yaml: there is no such file"),
    "no feature": ({"axes/features/mtp.yaml": None}, "no features is 'mtp'"),
    "no rules": ({"rules.yaml": None}, "rules.yaml: cannot be read: No such file"),
    "no known failures": ({"known_failures.yaml": None}, "known_failures.yaml: cannot be read: No such file"),
    "no checkpoint": ({"axes/checkpoints/small.yaml": None}, "axes/checkpoints/*.yaml: there is no such file"),
}


@pytest.mark.parametrize("what", ROOTS)
def test_one_root_cause_is_one_problem(tmp_path: Path, what: str) -> None:
    changes, said = ROOTS[what]
    named = {"axes/checkpoints/small.yaml": FILES["axes/checkpoints/small.yaml"] + "stands_for: small\n"}
    found = problems(write(tmp_path, {**named, **changes}))
    assert len(found) == 1 and said in found[0], found


def test_what_waits_for_a_file_that_did_not_load_is_counted_there(tmp_path: Path) -> None:
    [found] = problems(write(tmp_path, change(TOY, "dialect", "dialekt")))
    assert found.endswith("(5 entries that refer to it are judged once it loads)")  # 2 releases and 3 overlays


def test_a_name_that_is_not_there_is_told_once_with_the_file_that_would_have_it(tmp_path: Path) -> None:
    [found] = problems(write(tmp_path, {"axes/features/mtp.yaml": None}))
    assert "(there is no axes/features/mtp.yaml; 5 more entries name it)" in found


def test_a_root_stands_before_what_may_follow_from_it_and_other_faults_are_told_too(tmp_path: Path) -> None:
    rules = FILES["rules.yaml"].replace("rig: cpu", "rig: cqu").replace("mtp", "mtpp", 1)
    features = change("axes/features/mtp.yaml", "title", "titel")
    found = problems(
        write(
            tmp_path,
            {"recipes/toy.yaml": FILES["recipes/toy.yaml"].replace("toy,", "tyo,"), "rules.yaml": rules, **features},
        )
    )
    assert found[0].startswith("axes/features/mtp.yaml:2 titel")
    assert [p for p in found if "no rig is 'cqu'" in p] and [p for p in found if "no engine is 'tyo'" in p]
