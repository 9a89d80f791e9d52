"""What pytest says where this checkout's environment is active and its suites were not named: which line runs them.

pytest reads options from the conftest.py of the folders that its command line names. Started in another folder it knows
none of ours, and -c or --rootdir load no conftest.py either. So `make env` puts this file into the environment as a
plugin that pytest always loads (ci/console_script.py). It imports nothing of the project and changes nothing else.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

CHECKOUT: Final = Path(__file__).resolve().parents[1]
KEY: Final = "glm-matrix"  # of what pytest prints below a usage error; matrix.collection.plugin takes it away again
WIRED: Final = "matrix.collection.plugin"  # loaded by the checkout's conftest.py


class NextStep:
    """The line that runs the suites with the same words. The path stands first: `--cells` takes all that follows."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words

    def __str__(self) -> str:
        line = shlex.join(["pytest", str(CHECKOUT / "suites"), *self.words])
        return f"its options and tests belong to its suites; name them: {line}"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Have the next step printed below a usage error."""
    config = pluginmanager.get_plugin("pytestconfig")
    parser.extra_info[KEY] = NextStep(config.invocation_params.args if config else ())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Print it where -m or -k found no test, too: there the words are pytest's own."""
    chosen = config.option.markexpr or config.option.keyword
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and chosen and not config.pluginmanager.hasplugin(WIRED):
        terminalreporter.write_line(f"{KEY}: {NextStep(config.invocation_params.args)}")
