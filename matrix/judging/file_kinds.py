"""What lies under a file's name instead of the file: a page of a login, a pointer, an archive, a server's refusal.

begins with                      told as
version https://git-lfs          a Git LFS pointer, and what fetches the file
<!DOCTYPE html>, <html           a web page: the server answered with an error or a login
<?xml ... <Code>AccessDenied     an object store's answer, with its code
1f 8b, 28 b5 2f fd, PK, BZh      compressed bytes, and what unpacks them
Entry not found                  a server's answer as text
{"error": "..."}                 a server's answer as JSON, with its words
{'a': 1}, // word, {"a": 1,}     nearly JSON: written by Python, or by hand
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

WEB_PAGE: Final = "a web page: the server answered with an error or a login"
LEAST_ZEROS: Final = 8
LONGEST_ANSWER: Final = 300  # of a server that says in a line of text what is wrong
MOST_SHOWN: Final = 120
# First bytes -> what it is.
MARKS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"version https://git-lfs", "a Git LFS pointer: git lfs pull fetches the file"),
    (b"GGUF", "a GGUF file under another name"),
    (b"PK\x03\x04", "a PyTorch file (a zip archive) under another name"),
    (b"\x1f\x8b", "gzip bytes: it was kept as the server packed it; gunzip it, or load it again"),
    (b"\x28\xb5\x2f\xfd", "zstd bytes: it was kept as the server packed it; unzstd it, or load it again"),
    (b"BZh", "bzip2 bytes: bunzip2 it"),
    (b"\xfd7zXZ\x00", "xz bytes: unxz it"),
    (b"\xff\xfe", "text in UTF-16: write it in UTF-8"),
    (b"\xfe\xff", "text in UTF-16: write it in UTF-8"),
    (
        b"\xef\xbb\xbf",
        "text behind a byte order mark (BOM), which readers of JSON refuse: write it without",
    ),
)
XML_CODE: Final = re.compile(rb"<Code>([\w.-]{1,60})</Code>")
# A server that refuses says so in these; what else stands there makes it another file.
ANSWER_WORDS: Final = frozenset(("error", "errors", "message", "msg", "detail", "details", "error_description"))
ANSWER_KEYS: Final = ANSWER_WORDS | frozenset(
    """
    status statusCode status_code code Code type path request_id requestId timestamp success Success documentation_url
    cause error_code Message Data data RequestId
    """.split()  # noqa: SIM905
)
NEARLY: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"\A\s*[{\[]\s*'"), "written with single quotes, as Python shows a dict: json.dump writes JSON"),
    (re.compile(r"^\s*(//|#|/\*)", re.M), "with comments, which JSON has not: take them out"),
    (re.compile(r",\s*[}\]]"), "with a comma behind the last entry, which JSON has not: take it out"),
    (re.compile(r"[:\[,]\s*(True|False|None)\b"), "with True, False or None of Python: JSON has true, false, null"),
)


def name_file_kind(content: bytes) -> str:
    """Say what the first bytes of a file show it to be; empty where they may be what the name says."""
    if not content:
        return "empty: the download was cut, or the disk was full"
    for mark, what in MARKS:
        if content.startswith(mark):
            return what
    head = content[:1000].lstrip()
    if not head:
        return "empty but for blanks: the download was cut"
    if head[:9].lower().startswith((b"<!doctype", b"<html", b"<head", b"<body")):
        return WEB_PAGE
    if head.startswith((b"<?xml", b"<Error")):
        code = XML_CODE.search(content[:2000])
        return "XML, as an object store answers" + (f": {code[1].decode()}" if code else "")
    if len(content) >= LEAST_ZEROS and not content[:4096].strip(b"\0"):
        return "zeros: the file was made and never written"
    return ""


def name_json_kind(content: bytes) -> str:
    """Say what a file is that should be JSON and is none; empty where nothing is known but that."""
    known = name_file_kind(content)
    if known:
        return known
    try:
        text = content.decode("utf-8").strip()
    except UnicodeDecodeError:
        return ""
    if text[:1] not in "{[":
        answer = len(text) <= LONGEST_ANSWER and text.isprintable() and text[:1].isalpha() and " " in text
        return f"a server's answer: {text[:MOST_SHOWN]!r}" if answer else ""
    for pattern, what in NEARLY:
        if pattern.search(text):
            return f"nearly JSON, {what}"
    if text[-1] not in "}]":
        return "cut: it ends in the middle; load it again"
    return ""


def explain_no_json(content: bytes, error: Exception) -> str:
    """Say why a file that should be JSON is none: by its kind, or else in the parser's words."""
    kind = name_json_kind(content)
    return f"it is {kind}" if kind else str(error)


def name_refusal(value: Mapping[str, Any]) -> str:
    """Say that a JSON object is a server's answer and not the file, with the answer's words; empty where it is none."""
    said = [str(value[key]) for key in value if key in ANSWER_WORDS and value[key]]
    if not said or not ANSWER_KEYS.issuperset(value):
        return ""
    return f"a server's answer and not the file: {' '.join(said)[:MOST_SHOWN]!r}"
