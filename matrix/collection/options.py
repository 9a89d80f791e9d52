"""The options that the matrix adds to pytest: which cells, which server, which folder, without which patch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from matrix.output.command_line import find_unknown_options, find_wrong_choices
from matrix.planning import select

WITHOUT_PATCH = "--without-patch"
ENDPOINT_OPTIONS = (
    "--endpoint-model",
    "--accept-identity",
    "--endpoint-header",
    "--endpoint-ca",
    "--endpoint-insecure-tls",
)


class Misspelt:
    """What pytest prints below its usage error: the nearest word for each misspelt option and choice."""

    def __init__(self, parser: pytest.Parser, words: Sequence[str]) -> None:
        self.parser, self.words = parser.optparser, words

    def __str__(self) -> str:
        found = [*find_unknown_options(self.parser, self.words), *find_wrong_choices(self.parser, self.words)]
        return ", ".join(found) or "none"


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("matrix", "GLM-5 serving matrix")
    select.add_options(group.addoption)
    group.addoption(
        "--all-cells", action="store_true", help="keep cells this host cannot run; they are reported as SKIP_NO_HW"
    )
    group.addoption(
        "--endpoint",
        metavar="URL",
        help="run the suites of one cell (name it with --cells) on a running server;"
        " its key is read from GLM_MATRIX_ENDPOINT_KEY",
    )
    group.addoption("--endpoint-model", metavar="NAME", help="the served name that is meant, if not the cell's own")
    group.addoption(
        "--accept-identity",
        metavar="PARTS",
        help="let the server differ from the cell in these, by name:"
        " engine, model, version, reply (the model's name in its replies); every report shows it",
    )
    group.addoption(
        "--endpoint-header",
        metavar="'NAME: VALUE'",
        action="append",
        default=[],
        help="send this header, too; its value is hidden in all that is written",
    )
    group.addoption("--endpoint-ca", metavar="FILE", help="certificates (PEM) to trust instead of this host's")
    group.addoption(
        "--endpoint-insecure-tls", action="store_true", help="do not verify the certificate; every report shows it"
    )
    group.addoption(
        "--matrix",
        metavar="DIR",
        type=Path,
        help="read cells and recipes from this folder instead of matrix/, as `glm-matrix bisect` does; the evidence"
        " bears its digest, so that no gate takes it for a run of this matrix",
    )
    group.addoption(
        WITHOUT_PATCH,
        metavar="NAME",
        help="run the cells that use this patch without it, to see whether it is still needed",
    )
