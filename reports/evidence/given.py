"""Lets a verb take an archive of evidence (NAME.tar.xz) wherever it takes evidence: runs that are kept in git lie in
archives, and a reader of lines says of one that a thousand of them are damaged."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from reports.evidence.archive import SUFFIX, unpack_evidence

GIVEN: Final = ("evidence", "old", "new", "baseline")  # arguments that name files of evidence
AS_NAMED: Final = frozenset({"sign", "registry"})  # one signs the named file, one takes over an archive as it is


@contextmanager
def unpack_given(args: argparse.Namespace) -> Iterator[None]:
    """Put the unpacked file of each archive, with its kept replies beside it, in the archive's place, for as long as
    the verb runs.

    Raises:
        ConfigError: an archive holds something else than evidence, or too much.
    """
    with ExitStack() as stack:
        for name in GIVEN if args.verb not in AS_NAMED else ():
            match getattr(args, name, None):
                case Path() as path:
                    setattr(args, name, unpack_archive(path, stack))
                case list() as paths:
                    setattr(args, name, [unpack_archive(path, stack) for path in paths])
        yield


def unpack_archive(path: Path, stack: ExitStack) -> Path:
    """Return a file of evidence: the given one, or that of an archive, which is gone when the stack closes."""
    # An entry of a registry may be called so, too; only a file is unpacked.
    if not path.name.endswith(SUFFIX) or not path.is_file():
        return path
    return unpack_evidence(path, Path(stack.enter_context(TemporaryDirectory(prefix="glm-evidence-"))))
