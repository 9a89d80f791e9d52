"""Answer the text probes of matrix/facts.yaml for one wheel, so that facts can be evaluated without it later."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from matrix.facts.model import load_facts, text_probes
from matrix.preflight.patch import read_patches

REGISTERED = "registered:"  # "registered:GlmMoeDsaForCausalLM": the module that serves it, and its package


def run_probes(engine: str, files: Mapping[str, bytes], registered: Mapping[str, str]) -> dict[str, str]:
    """Return probe -> file:line of its first match or "" for none, and digests of the files that patches change."""
    asked = text_probes(tuple(load_facts().values()), engine)
    found = {
        key: _find_first_match(where, pattern, files, registered) for key, (where, pattern) in sorted(asked.items())
    }
    # of files that a patch changes, in every release: whether a patch still fits is then known without the wheel
    return found | {f"{path} sha256": _digest(files.get(path)) for path in sorted(_patched(engine))}


def _find_first_match(where: str, pattern: str, files: Mapping[str, bytes], registered: Mapping[str, str]) -> str:
    compiled = re.compile(pattern.encode(), re.MULTILINE)
    for path in _paths(where, files, registered):
        if match := compiled.search(files[path]):
            line = files[path].count(b"\n", 0, match.start()) + 1
            return f"{path}:{line}"
    return ""


def _paths(where: str, files: Mapping[str, bytes], registered: Mapping[str, str]) -> Iterator[str]:
    if where.startswith(REGISTERED):
        stem = registered.get(where.removeprefix(REGISTERED), "").replace(".", "/")
        # a model may have become a package: all of its files are asked then
        yield from (p for p in sorted(files) if stem and (p == f"{stem}.py" or p.startswith(f"{stem}/")))
    else:
        yield from (p for p in sorted(files) if fnmatchcase(p, where))


def _digest(text: bytes | None) -> str:
    return hashlib.sha256(text).hexdigest() if text is not None else ""


def _patched(engine: str) -> set[str]:
    return {p.target.file for p in read_patches().values() if p.target and p.target.package == engine}
