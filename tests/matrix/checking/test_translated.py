"""Other shells' lines become a POSIX shell's one for one, and a POSIX shell's stay as they are."""

from __future__ import annotations

import pytest

from matrix.checking.translated import fill_templates, needs_translation, translate_script


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("x.fish", "set -gx A 1\nset B c d\nset -e A", "export A=1\nB=(c d)\nset -e A"),
        ("x", "#!/usr/bin/env fish\nset --export A 'b c'", "#!/usr/bin/env fish\nexport A='b c'"),
        ("x.ps1", '$env:A = "1"\na.exe `\n  $env:B', 'export A="1"\na.exe \\\n  ${B}'),
        ("x.bat", "@echo off\nSET A=1\nREM no\na ^\n  %B%", '@echo off\nexport A="1"\n# no\na \\\n  ${B}'),
    ],
)
def test_a_script_is_translated_line_by_line(name: str, text: str, wanted: str) -> None:
    made = translate_script(text, name)
    assert made == wanted
    assert made.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text",
    ["#!/bin/bash\nset -ex\nvllm serve /w \\\n -tp 8", "set -o pipefail\nA='x^'", "echo `date`\n", '{"a": {"b": 1}}'],
)
def test_a_posix_script_is_not_touched(text: str) -> None:
    assert not needs_translation(text, "run.sh")


def test_a_template_is_its_value_or_nobodys() -> None:
    text = "m := '/w'\nserve tp='8':\n  vllm serve {{m}} -tp {{ tp }} {{ .Values.x }}"
    assert fill_templates(text).splitlines()[2] == "  vllm serve /w -tp 8 ${template__Values_x}"
