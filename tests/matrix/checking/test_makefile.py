"""Recipes of make as shell lines: values are put in as text, and what nobody set is a shell's variable."""

from __future__ import annotations

import pytest

from matrix.checking.makefile import is_makefile, translate_makefile
from matrix.checking.sources import read_text


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("TP := 8\nserve:\n\t@vllm serve /w -tp $(TP)\n", "\n\nvllm serve /w -tp 8\n"),
        ("A ?= b\nA += c\nx:\n\techo ${A}\n", "\n\n\necho b c\n"),
        ("A = $(B)\nB = d\nx:\n\techo $(A)\n", "\n\n\necho d\n"),
        ("A = 1 \\\n  2\nx:\n\techo $(A)\n", "\n\n\necho 1  2\n"),
        (
            "export A := 1\nx:\n\techo $$HOME $(shell nproc) $(C)\n",
            "export A='1'\n\necho $HOME ${make_shell_nproc} ${C}\n",
        ),
        ("x: A := 3\nx:\n\techo $(A)\n", "\n\necho 3\n"),
        ("A = $(A)\nx:\n\techo $(A)\n", "\n\necho $(A)\n"),
    ],
)
def test_a_recipe_is_what_its_shell_runs(text: str, made: str) -> None:
    assert translate_makefile(text) == made
    assert made.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    ("text", "name", "is_"),
    [
        ("x:\n\ty\n", "a", True),
        ("", "Makefile", True),
        ("", "x.mk", True),
        ("x: y\n", "a", False),
        ("if x; then\n\ty\nfi\n", "a", False),
    ],
)
def test_when_a_text_is_a_makefile(text: str, name: str, is_: bool) -> None:
    assert is_makefile(text, name) is is_


def test_exported_variables_reach_the_engine() -> None:
    ((command,), _) = read_text("export VLLM_X := 1\ns:\n\tvllm serve /w \\\n\t  -tp 8\n", "Makefile")
    assert command.env["VLLM_X"].text == "1"
    assert [w.text for w in command.argv] == ["/w", "-tp", "8"]


def test_values_that_hold_one_another_twice_stay_small() -> None:
    doubled = "".join(f"A{n} = $(A{n - 1})$(A{n - 1})\n" for n in range(1, 60))
    assert len(translate_makefile(f"A0 = xxxxxxxx\n{doubled}t:\n\techo $(A59)\n")) < 100_000
