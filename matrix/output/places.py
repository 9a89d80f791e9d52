"""Where our files go when nobody named a place: the working directory and the checkout, else a place of the user's.

    what                          first                        where that cannot be written
    evidence, reports, JUnit      reports/out here             $XDG_STATE_HOME/glm-matrix/out
    engine logs                   `logs` beside the evidence   the same
    generated weights             .cache of the checkout       $XDG_CACHE_HOME/glm-matrix

A checkout may be another user's, or be mounted read-only. The home may be missing, or be read-only as well: then the
user's directory in the temporary one takes all of it. The system is asked whether a place can be written; nothing is
tried. A place that is writable and full stays the place, and whoever writes there says that it is full.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from matrix import variables
from matrix.checkout import CHECKOUT
from matrix.errors import HostError
from matrix.homes import list_homes
from matrix.output.user_directory import locate_user_directory, make_user_directory

OUT: Final = Path("reports/out")
EVIDENCE: Final = "evidence.jsonl"
LOGS: Final = "logs"


def locate_out(base: Path = Path()) -> Path:
    """Return the folder for evidence and reports: `reports/out` of `base`, else one of the user's. Make neither."""
    here = base / OUT
    return here if is_writable(here) else locate_user_state() / "out"


def locate_evidence() -> Path:
    """Return the file that a run writes where `--evidence` does not name one."""
    return locate_out() / EVIDENCE


def find_evidence() -> Path:
    """Return the file that a report reads where `--evidence` does not name one: the run's, else what lies here."""
    own, here = locate_evidence(), OUT / EVIDENCE
    return here if here.exists() and not own.exists() else own


def locate_logs(evidence: Path) -> Path:
    """Return the folder for engine logs of the run that writes this evidence."""
    return evidence.parent / LOGS


def locate_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for what can be made again: `.cache` of the checkout, else one of the user's."""
    named = environment.get(variables.CACHE.name)
    here = CHECKOUT / ".cache"
    return CHECKOUT / named if named else here if is_writable(here) else locate_user_cache(environment)


def locate_user_state(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the user's folder for what is kept."""
    return _choose_folder(environment, variables.XDG_STATE_HOME.name, ".local/state", "state")


def locate_user_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the user's folder for what can be made again."""
    return _choose_folder(environment, variables.XDG_CACHE_HOME.name, ".cache", "cache")


def expand_home(path: str) -> Path:
    """Return a path that somebody wrote, its `~` expanded.

    Raises:
        HostError: nobody says where the home is.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        why = f"this user has no home here (uid {os.getuid()}): set HOME, or write the path out"
        raise HostError(f"{path}: {why}") from None


def is_writable(path: Path) -> bool:
    """Return whether a folder can be written, or made where it is missing. Ask the system; try nothing."""
    there = next((p for p in (path, *path.absolute().parents) if os.path.lexists(p)), None)
    return there is not None and there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _choose_folder(environment: Mapping[str, str], variable: str, below_home: str, kind: str) -> Path:
    for place in list_homes(environment.get(variable, ""), below_home):
        if is_writable(place):
            return place
    with suppress(HostError):  # whoever writes there says what is wrong with it
        make_user_directory()
    return locate_user_directory() / kind
