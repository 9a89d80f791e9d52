"""Writes an entry, reads the whole matrix again, and takes the entry back when anything is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from matrix.errors import ConfigError, HostError, Problem

Check = Callable[[], None]


def dump_entry(entry: Mapping[str, Any]) -> str:
    """Format an entry as a file of its own."""
    # one line per value: entries are reviewed as diffs, in the order of the class, not of the alphabet
    return str(yaml.safe_dump(dict(entry), sort_keys=False, allow_unicode=True, width=1000))


def dump_item(entry: Mapping[str, Any]) -> str:
    """Format an entry of a list, as the lists of matrix/ are indented."""
    lines = dump_entry(entry).splitlines()
    return "\n".join(f"{'  - ' if n == 0 else '    '}{line}" for n, line in enumerate(lines)) + "\n"


def write_new(path: Path, text: str, check: Check, *, option: str = "--id") -> None:
    """Write a new file and check the matrix with it. `option`: by which another file is chosen.

    Raises:
        ConfigError: the file exists, or the matrix refuses it; it is removed again.
        HostError: the folder cannot be written.
    """
    if path.exists():
        raise ConfigError([Problem(path.name, 0, "", f"there is one already; choose another {option}")])
    # noted before anything is made: taking back must not remove a folder that was there
    made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        with suppress(OSError):  # a full disk leaves half a file, which would be one already the next time
            path.unlink(missing_ok=True)
        raise HostError(f"{path} cannot be written: {error.strerror}") from None
    try:
        check()
    except BaseException:
        # (BaseException: also at Ctrl-C) an entry that was refused and stays would break every later command
        path.unlink()
        for folder in made:
            folder.rmdir()
        raise


def change_file(path: Path, change: Callable[[str], str], check: Check) -> None:
    """Change a file's text and check the matrix with it; the old bytes return when the matrix refuses.

    Raises:
        ConfigError: the matrix refuses. HostError: the file cannot be read or written.
    """
    try:
        old = path.read_bytes()
        text = old.decode("utf-8")
        new = change(text.replace("\r\n", "\n"))
        path.write_bytes((new.replace("\n", "\r\n") if "\r\n" in text else new).encode("utf-8"))
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}") from None
    try:
        check()
    except BaseException:
        path.write_bytes(old)
        raise
