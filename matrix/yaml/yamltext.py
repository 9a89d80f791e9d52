"""YAML files -> documents, within bounds. No file raises, hangs, or takes more than seconds.

A file of this checkout is parsed once: what its text became is kept in the user's cache (`matrix.yaml.kept`).
"""

from __future__ import annotations

import errno
import stat
from pathlib import Path
from typing import Any, Final

from matrix.checkout import CHECKOUT, name_in_checkout
from matrix.errors import ConfigError, Problem
from matrix.yaml import kept
from matrix.yaml.document import Document

LARGEST_BYTES: Final = 1 << 19  # of one file; the largest of ours has 0.1 MB
MOST_TOLD: Final = 20  # problems of one file: the first ones say what is wrong with it


def read_document(path: Path, name: str) -> Document:
    """Parse one file. Whatever is wrong with it becomes a problem of the document, with its line; nothing raises."""
    doc = Document(name)
    try:
        text = _read_text(path)
    except OSError as error:
        doc.problems.append(Problem(name, 0, "", f"cannot be read: {error.strerror or error}"))
    except UnicodeDecodeError as error:
        doc.problems.append(_explain_bytes(name, error))
    except ValueError as error:
        doc.problems.append(Problem(name, 0, "", f"not valid YAML: {error}"))
    else:
        return _parse_once(text, name, keep=path.is_relative_to(CHECKOUT))
    return doc


def parse_text(text: str, name: str) -> Document:
    """Parse a text that is no file, e.g. a word of a command line, under the same bounds; nothing raises."""
    if len(text) <= LARGEST_BYTES:
        return _parse_once(text, name, keep=False)
    doc = Document(name)
    doc.problems.append(Problem(name, 0, "", f"it has {len(text):,} characters, at most {LARGEST_BYTES:,} are read"))
    return doc


def _parse_once(text: str, name: str, *, keep: bool) -> Document:
    """Return what a text became on an earlier start, or parse it now; `keep`: for the next start."""
    if keep and (found := kept.find_parsed(text)) is not None:
        return Document(name, *found)
    from matrix.yaml.compose import compose_document  # late: with it comes the YAML library, a tenth of a short start

    doc = Document(name)
    compose_document(doc, text)
    if keep and not doc.problems:
        kept.keep_parsed(text, doc.data, doc.lines)
    _cut_problems(doc)
    return doc


def _explain_bytes(name: str, error: UnicodeDecodeError) -> Problem:
    wide = error.object.startswith((b"\xff\xfe", b"\xfe\xff"))
    what = "it is UTF-16" if wide else f"byte 0x{error.object[error.start]:02x} is no text in UTF-8"
    line = error.object.count(b"\n", 0, error.start) + 1
    return Problem(name, line, "", f"not valid YAML: {what}; save the file as UTF-8")


def _cut_problems(doc: Document) -> None:
    """Return the first problems, and how many more there are: a thousand lines hide the one that is the cause."""
    if (more := len(doc.problems) - MOST_TOLD) > 0:
        last = doc.problems[MOST_TOLD]
        doc.problems[MOST_TOLD:] = [Problem(doc.name, last.line, "", f"and {more:,} more problems in this file")]


def require_document(path: Path, name: str) -> Document:
    """Parse one file that must be sound.

    Raises:
        ConfigError: it cannot be read, or all of its problems, each with its line.
    """
    doc = read_document(path, name)
    if doc.problems:
        raise ConfigError(doc.problems)
    return doc


def read_data(path: Path) -> Any:
    """Read the plain data of one file of this project.

    Raises:
        ConfigError: as `require_document`.
    """
    return require_document(path, name_in_checkout(path)).data


def read_source(path: Path) -> str:
    """Read the text of one file of this project, unparsed.

    Raises:
        ConfigError: it cannot be read, or is no plain file of text in UTF-8 within bounds.
    """
    try:
        return _read_text(path)
    except (OSError, ValueError) as error:
        problem = Problem(name_in_checkout(path), 0, "", f"cannot be read: {getattr(error, 'strerror', None) or error}")
        raise ConfigError([problem]) from None


def _read_text(path: Path) -> str:
    """Read a file's text. Raises: OSError, UnicodeDecodeError, ValueError: too large; a pipe or device is not waited
    for."""
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no plain file")
    with path.open("rb") as file:
        # one more than allowed tells a longer file from one of just this size, whatever stat says of it
        raw = file.read(LARGEST_BYTES + 1)
    if len(raw) > LARGEST_BYTES:
        raise ValueError(f"it has {max(found.st_size, len(raw)):,} bytes, at most {LARGEST_BYTES:,} are read")
    return raw.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
