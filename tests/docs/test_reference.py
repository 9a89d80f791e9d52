from __future__ import annotations

import re

from ci.reference import __main__ as reference
from ci.reference import schema
from matrix.checkout import CHECKOUT
from matrix.model import Checkpoint, Overlay


def test_the_committed_pages_are_what_the_code_generates() -> None:
    assert reference.main(["--check"]) == 0, "run: python -m ci.reference"


def test_a_field_brings_its_type_default_and_comment() -> None:
    found = {f.name: f for f in schema.read_fields(Checkpoint)}
    assert found["size_bytes"] == ("size_bytes", "int | None", None, "None: no source states it")
    assert found["rope_dims"].default == "64"
    assert {f.name: f for f in schema.read_fields(Overlay)}["when"].default == "{}"
    assert "canary" not in found  # a property is no key


def test_every_verb_with_options_has_its_own_section() -> None:
    text = (CHECKOUT / "docs/reference/cli.md").read_text("utf-8")  # the first test says that it is fresh
    for program in (
        "glm-matrix list",
        "glm-matrix gate",
        "glm-matrix junit merge",
        "glm-matrix plan",
        "glm-matrix train-canary heal",
    ):
        assert f"### {program}\n" in text


def test_no_default_names_a_folder_of_the_machine_that_made_the_page() -> None:
    text = (CHECKOUT / "docs/reference/cli.md").read_text("utf-8")
    assert re.findall(r"default:?\s+(/\S+)", text) == []
