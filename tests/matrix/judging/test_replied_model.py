"""Whose name a reply is in."""

from __future__ import annotations

import subprocess
import sys

import pytest

from matrix.errors import OtherServer
from matrix.judging.replied_model import require_model


def test_replies_are_in_the_name_that_was_asked() -> None:
    for replied in ("", "glm", "glm@main"):
        require_model(replied, "glm")
    for replied in ("GLM", "glm-5", "llama"):
        with pytest.raises(OtherServer, match="'glm' was asked") as caught:
            require_model(replied, "glm")
        assert caught.value.replied == replied


def test_the_load_process_starts_without_axes_and_plans() -> None:
    # 0.08 CPU s of each load, fourteen times in `make matrix`
    code = "import sys, fixtures.traffic.generate; print([m for m in sys.modules if m.startswith('matrix.planning')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
