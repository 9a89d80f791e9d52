"""Names that become paths and words of commands have the form that they need, or are told with file and line."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from matrix.yaml import patterns
from matrix.yaml.load import load_matrix
from tests.matrix.world import FILES, write
from tests.matrix.yaml.test_load import problems

SMALL, RELEASE, GPU = "axes/checkpoints/small.yaml", "axes/engines/toy/toy_1.yaml", "axes/hardware/big.yaml"
WRONG: dict[str, tuple[str, str, str]] = {  # what -> file, line added, what is said
    "code as repository": (
        SMALL,
        'repository: "x}; touch /tmp/p; echo ${Z:-"',
        "expected a Hugging Face id, OWNER/NAME",
    ),
    "an option as repository": (SMALL, "repository: --help/x", "expected a Hugging Face id"),
    "an address as repository": (
        SMALL,
        "repository: https://huggingface.co/zai-org/GLM-5",
        "expected a Hugging Face id",
    ),
    "a branch as revision": (SMALL, "revision: main", "expected a commit: 40 of 0-9 and a-f, got 'main'"),
    "a short digest": (SMALL, "sha256: abc", "expected a SHA-256"),
    "weights outside": (SMALL, "weights_path: ../../etc", "expected a path inside this checkout"),
    "weights of the root": (SMALL, "weights_path: /etc", "expected a path inside this checkout"),
    "an image with an option": (RELEASE, 'image: "--privileged x"', "expected an image, like"),
    "an image in two words": (RELEASE, "image: a/b c", "expected an image, like"),
    "a digest of another kind": (RELEASE, "image_digest: md5:abc", "expected sha256: and 64"),
    "a requirement of two lines": (
        RELEASE,
        'requirement: "x==1\\n--index-url http://e"',
        "expected a requirement, like",
    ),
    "a requirement with an option": (RELEASE, "requirement: x==1 --index-url http://e", "expected a requirement, like"),
    "a requirement by address": (RELEASE, "requirement: x @ https://example.org/x.whl", "got an address"),
    "a module with code": (RELEASE, 'module: "os; x"', "expected a Python module"),
    "a flag as variable": ("axes/engines/toy/engine.yaml", "api_key_env: --key", "expected the name of an environment"),
    "a path with code": ("axes/engines/toy/engine.yaml", "health_path: \"/x'); y('\"", "expected a path of an address"),
    "no flag": ("axes/engines/toy/engine.yaml", "host_argument: host", "expected a flag, like --page-size"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_text_that_could_be_obeyed_is_told_at_load(tmp_path: Path, what: str) -> None:
    file, line, said = WRONG[what]
    text = FILES[file].lstrip("\n") + line + "\n"
    [found] = problems(write(tmp_path, {file: text}))
    assert found.startswith(f"{file}:{text.count(chr(10))} {line.partition(':')[0]}: ") and said in found


@pytest.mark.parametrize(
    ("file", "old", "new", "where"),
    [
        (GPU, "sm120x4: 4", "'sm120x4;x': 4", "rigs.sm120x4;x: expected lower-case letters"),
        (GPU, "{sm120x1", "{../sm120x1", "rigs.../sm120x1: expected lower-case letters"),
        (
            "recipes/toy.yaml",
            'TOY: "1"',
            '"TOY; touch x": "1"',
            "env.TOY; touch x: expected the name of an environment",
        ),
        ("recipes/toy.yaml", "--page-size: 128", "page-size: 128", "args.page-size: expected a flag"),
        ("recipes/toy.yaml", "id: base", "id: 'a|b'", "id: expected letters, digits and _"),
        ("rules.yaml", "id: no_mtp_on_cpu", "id: '`x`'", "id: expected letters, digits and _, got '`x`'"),
        ("recipes/toy.yaml", "it needs a model", '"\\e[2J"', "the text holds the control character '\\x1b'"),
        ("recipes/toy.yaml", "source: test", 'source: "a\\u202eb"', "the text holds the control character"),
    ],
)
def test_keys_names_and_control_characters_are_told_too(
    tmp_path: Path, file: str, old: str, new: str, where: str
) -> None:
    assert old in FILES[file]
    found = problems(write(tmp_path, {file: FILES[file].replace(old, new, 1)}))
    assert any(p.startswith(file) and where in p for p in found), found


def test_a_file_whose_name_is_no_id_is_told(tmp_path: Path) -> None:
    text = FILES[SMALL].replace("id: small", "id: '$(x)'")
    found = problems(write(tmp_path, {SMALL: FILES[SMALL], "axes/checkpoints/$(x).yaml": text}))
    assert found == [
        "axes/checkpoints/$(x).yaml:1 id: expected lower-case letters, digits and _, like glm51_478b_nvfp4, got '$(x)'"
    ]


def test_every_pattern_is_about_a_part_that_exists() -> None:
    for kind, parts in patterns.TEXTS.items():
        names = {field.name for field in fields(kind)}
        assert parts.keys() <= names, kind
    load_matrix()
