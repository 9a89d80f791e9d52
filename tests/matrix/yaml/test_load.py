from __future__ import annotations

import os
from pathlib import Path

import pytest

from matrix.errors import ConfigError
from matrix.yaml.load import digest_of, load_matrix
from tests.matrix.world import FILES, write
from tests.matrix.yaml.hostile_files import HOSTILE
from tests.pace import within_cpu_s


def problems(root: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_matrix(root)
    return [str(p) for p in caught.value.problems]


def test_a_sound_matrix_loads(tmp_path: Path) -> None:
    matrix = load_matrix(write(tmp_path))
    assert set(matrix.rigs) == {"cpu", "sm120x1", "sm120x3", "sm120x4"}
    assert matrix.releases["toy_2"].engine == "toy"
    assert matrix.places["checkpoint:small"] == "axes/checkpoints/small.yaml:1"


def test_every_problem_of_every_file_is_reported_at_once_with_its_line(tmp_path: Path) -> None:
    text = FILES["axes/checkpoints/small.yaml"]
    root = write(
        tmp_path,
        {
            "axes/checkpoints/small.yaml": text.replace("experts: 16", "experts: sixteen").replace(
                "layers: 4", "layerz: 4"
            ),
            "axes/hardware/cpu.yaml": FILES["axes/hardware/cpu.yaml"].replace(
                "interconnect: none", "interconnect: nvlnk"
            ),
        },
    )
    found = "\n".join(problems(root))
    assert "axes/checkpoints/small.yaml:7 experts: " in found and "'sixteen'" in found
    assert "axes/checkpoints/small.yaml:9 layerz: unknown key 'layerz'; did you mean 'layers'?" in found
    assert "missing key 'layers'" not in found  # it is misspelt, not missing
    assert "axes/hardware/cpu.yaml:6 interconnect: " in found and "did you mean 'nvlink'?" in found


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    found = problems(write(tmp_path, {"rules.yaml": "rules:\n  - id: x\n   when: {\n"}))
    assert any(p.startswith("rules.yaml:3") and "not valid YAML" in p for p in found)


def test_a_duplicate_key_is_a_problem_and_not_the_last_one_wins(tmp_path: Path) -> None:
    text = FILES["axes/hardware/cpu.yaml"] + "sm: 90\n"
    found = problems(write(tmp_path, {"axes/hardware/cpu.yaml": text}))
    assert any("duplicate key 'sm', first on line 3" in p for p in found)


def test_the_id_must_be_the_files_name(tmp_path: Path) -> None:
    text = FILES["axes/engines/toy/toy_2.yaml"].replace("id: toy_2", "id: toy_1")
    found = problems(write(tmp_path, {"axes/engines/toy/toy_2.yaml": text}))
    assert any("expected 'toy_2' as the file is named" in p for p in found)
    assert not any("duplicate id" in p for p in found)  # that follows from it


@pytest.mark.parametrize(
    ("when", "hint"),
    [
        ("{engin: toy}", "unknown condition 'engin'; did you mean 'engine'?"),
        ("{engine: toi}", "no engine is 'toi'; did you mean 'toy'?"),
        ("{features: [mtpp]}", "no features is 'mtpp'; did you mean 'mtp'?"),
        ('{version: "~>1"}', "not a PEP 440 specifier"),
        ("{version: 1.0}", "expected a string like"),
        ("{sm: 121}", "no sm is 121"),
    ],
)
def test_a_condition_that_can_never_hold_is_a_problem(tmp_path: Path, when: str, hint: str) -> None:
    text = FILES["rules.yaml"].replace("{rig: cpu, features: [mtp]}", when)
    found = problems(write(tmp_path, {"rules.yaml": text}))
    assert any(p.startswith("rules.yaml:3 ") and hint in p for p in found), found


def test_a_patch_that_does_not_exist_is_a_problem(tmp_path: Path) -> None:
    text = FILES["recipes/toy.yaml"] + "    patches: [no_such_patch]\n"
    assert any("no such patches: 'no_such_patch'" in p for p in problems(write(tmp_path, {"recipes/toy.yaml": text})))


CONDITIONS = {
    "{rig: [[cpu]]}": "expected a word, a number or a list of them",
    "{rig: {a: b}}": "expected a word, a number or a list of them",
    "{fork: maybe}": "no fork is 'maybe'",
    "{canary: 'true'}": "no canary is 'true'",
    "{mtp_layer: absent}": "no mtp_layer is 'absent'",
    "{any_feature: mtp}": "expected true or false, got 'mtp'",
    "{form: publish}": "no form is 'publish'; did you mean 'published'?",
    "{without: mtpp}": "no features is 'mtpp'; did you mean 'mtp'?",
    "[rig, cpu]": "expected keys and values, got ['rig', 'cpu']",
}


@pytest.mark.parametrize("when", CONDITIONS)
def test_a_condition_with_values_that_nothing_has_is_a_problem(tmp_path: Path, when: str) -> None:
    text = FILES["rules.yaml"].replace("{rig: cpu, features: [mtp]}", when)
    [found] = problems(write(tmp_path, {"rules.yaml": text}))
    assert found.startswith("rules.yaml:3 ") and CONDITIONS[when] in found


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_among_sound_ones_is_one_problem_of_its_own(tmp_path: Path, what: str) -> None:
    root = write(tmp_path)
    (root / "axes/checkpoints/small.yaml").write_bytes(HOSTILE[what][0])
    with within_cpu_s(5):
        found = problems(root)
    assert all(p.startswith("axes/checkpoints/small.yaml") for p in found) and HOSTILE[what][2] in found[0]


def test_the_digest_passes_over_what_is_no_file(tmp_path: Path) -> None:
    root = write(tmp_path)
    before = digest_of(root)
    (root / "patches").mkdir()
    (root / "patches/a.yaml").mkdir()
    os.mkfifo(root / "patches/b.yaml")
    (root / "patches/c.yaml").symlink_to("c.yaml")
    assert digest_of(root) == before


def test_yaml_cannot_construct_python_objects(tmp_path: Path) -> None:
    root = write(tmp_path, {"rules.yaml": "rules: !!python/object/apply:os.getcwd []\n"})
    with pytest.raises((ConfigError, Exception), match=r"python/object|expected one key"):
        load_matrix(root)


def test_a_published_launch_names_one_of_each(tmp_path: Path) -> None:
    entry = "published:\n  - {id: p, when: {rig: [sm120x1, sm120x4], release: toy_1, checkpoint: small}, source: x}\n"
    with pytest.raises(ConfigError, match=r"published\.yaml:2 p\.when\.rig: expected one rig, got \['sm120x1'"):
        load_matrix(write(tmp_path, {"published.yaml": entry}))
