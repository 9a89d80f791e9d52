"""A notebook's cells: what its shell runs, and its Python beside."""

from __future__ import annotations

import json

import pytest

from matrix.checking.sources import read_text


def read(*cells: object) -> list[list[str]]:
    text = json.dumps({"cells": [{"cell_type": "code", "source": source} for source in cells]})
    commands, _ = read_text(text, "serve.ipynb")
    return [[word.text for word in command.argv] for command in commands]


@pytest.mark.parametrize(
    "source",
    [
        ["!vllm serve /w \\\n", "  -tp 8\n"],
        "import os\n!vllm serve /w -tp 8\n",
        "%%bash\nTP=8\nvllm serve /w -tp $TP\n",
    ],
)
def test_a_cells_shell_is_read(source: object) -> None:
    assert read(source) == [["/w", "-tp", "8"]]


def test_a_cells_python_is_read() -> None:
    (argv,) = read("from vllm import LLM\n", 'LLM("/w", tensor_parallel_size=8)\n')
    assert argv[-1] == "8"


@pytest.mark.parametrize("text", ["", "{}", '{"cells": 3}', '{"cells": [3, {"cell_type": "code"}]}', "["])
def test_what_is_no_notebook_starts_nothing(text: str) -> None:
    assert read_text(text, "x.ipynb")[0] == []
