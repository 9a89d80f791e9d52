from __future__ import annotations

import re

from ci.reference import __main__ as reference
from ci.reference import markdown, schema
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


def test_a_cell_a_code_span_and_a_block_end_where_they_end() -> None:
    assert markdown.format_table(["a"], [["x|y\\|z\nnext"]]).splitlines()[2] == r"| x\|y\\\|z next |"
    assert markdown.format_code("a `b` c") == "``a `b` c``" and markdown.format_code("`") == "`` ` ``"
    assert markdown.format_code("") == "" and markdown.format_code("a\nb") == "`a b`"
    assert markdown.format_block("```\nx\n```") == "````text\n```\nx\n```\n````\n"
    assert markdown.format_block("x") == "```text\nx\n```\n"


def test_no_default_names_a_folder_of_the_machine_that_made_the_page() -> None:
    text = (CHECKOUT / "docs/reference/cli.md").read_text("utf-8")
    assert re.findall(r"default:?\s+(/\S+)", text) == []
