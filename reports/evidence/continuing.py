"""`pytest --continue=FILE`: ask what an interrupted run left, and nothing that it has answered.

A test is left where FILE holds no result of it for today's plan. What failed is not asked again: that is a retry
(`--retry-of`), which is told as one. Give every file of the night so far; this run writes one of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from matrix.errors import ConfigError
from reports.evidence.attempts import KNOWN, SAME, split_runs
from reports.evidence.continuations import digest_run
from reports.evidence.files import read_records
from reports.evidence.run_header import DECLARATION, Declaration, identity_of
from reports.evidence.types import Result, Run

OPTION: Final = "--continue"
SOURCE: Final = ("commit", "matrix_sha256", "depth", "dirty", "diff_sha256")  # compared at once; the gate asks for more
CONTINUED = pytest.StashKey["Continued"]()


@dataclass(frozen=True, slots=True, kw_only=True)
class Continued:
    """What the runs of the given files have answered. `digests`: run -> sha256 of its records."""

    done: frozenset[tuple[str, str]] = frozenset()  # node id, fingerprint
    digests: Mapping[str, str] = field(default_factory=dict)
    starts: tuple[Run, ...] = ()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("matrix").addoption(
        OPTION,
        dest="continue_files",
        action="append",
        default=[],
        metavar="FILE",
        help="ask what the interrupted run in this evidence left; give every file of the night so far, and write"
        " another one: --continue=night.jsonl --evidence=rest.jsonl (with `=`: after a space it is a test to pytest)",
    )


def pytest_configure(config: pytest.Config) -> None:
    files = [Path(config.invocation_params.dir, name) for name in config.option.continue_files]
    if not files:
        return
    own = Path(config.invocation_params.dir, config.option.evidence)
    if own in files:
        raise pytest.UsageError(f"{OPTION} {own}: this run would write there too; name another: --evidence=rest.jsonl")
    try:
        config.stash[CONTINUED] = read_continued(files)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None


def read_continued(files: list[Path]) -> Continued:
    """Read what the files have answered.

    Raises:
        ConfigError: a file cannot be read.
    """
    runs = split_runs(r for path in files for r in read_records(path))
    records = [r for own in runs.values() for r in own]
    return Continued(
        done=frozenset((r.nodeid, r.fingerprint) for r in records if isinstance(r, Result)),
        digests={run: digest_run(own) for run, own in runs.items()},
        starts=tuple(r for r in records if isinstance(r, Run)),
    )


def is_continuing(config: pytest.Config) -> bool:
    return CONTINUED in config.stash


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, None, None]:
    """Deselect what is answered, after every other plugin has said what an item is."""
    yield
    if not is_continuing(config):
        return
    done = config.stash[CONTINUED].done
    answered = [i for i in items if (who := identity_of(i)) and (who["nodeid"], who.get("fingerprint", "")) in done]
    config.hook.pytest_deselected(items=answered)
    gone = set(answered)
    items[:] = [i for i in items if i not in gone]


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Refuse to continue a run of another source, before anything is started: no gate would take the two for one."""
    config = session.config
    if not is_continuing(config) or hasattr(config, "workerinput"):
        return
    said = config.stash.setdefault(DECLARATION, Declaration()).run
    if odd := [line for start in config.stash[CONTINUED].starts for line in _differ(start, said)]:
        advice = "Nothing of that counts for this run: start it without --continue."
        raise pytest.UsageError("\n".join([f"{OPTION}: these runs are not one night:", *odd, advice]))


def _differ(start: Run, said: Mapping[str, object]) -> Iterator[str]:
    words = {**KNOWN, **SAME}
    for name in SOURCE:
        was, now = getattr(start, name), said.get(name)
        if (was or now) and was != now:
            yield f"  run {start.run} is of another {words[name]}: {_shorten_digest(was)}, today {_shorten_digest(now)}"


def _shorten_digest(value: object) -> str:
    return "not recorded" if value in (None, "") else str(value)[:12]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Nothing was left: the run is written all the same, because it vouches for what it continues."""
    if is_continuing(session.config) and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK
