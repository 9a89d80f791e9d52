"""What releases have in common is stored once: blocks of JSON, addressed by their content, one line each.

    snapshots/sglang_0_5_23.json     "shared": {"flags": "3f2a91c07d 88e1...", "env": "..."}
    snapshots/shared/sglang.blocks   3f2a91c07d {"options": ["--page-size"], "dest": "page_size", ...}

A flag is a block. A long set of names is cut into runs of about sixteen, at names whose own digest says so, so that a
new name changes one run and the others keep their address. A release reads its own blocks, nothing else is parsed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from matrix.errors import ConfigError, Problem

FOLDER: Final = "shared"
# 40 bits: among the 2,500 blocks of an engine two collide with a chance of 1 in 350,000
ADDRESS_CHARS: Final = 10
RUN_NAMES: Final = 16  # names in a run, on average


def address_block(text: str) -> str:
    """Return the first ten hexadecimal digits of a block's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:ADDRESS_CHARS]


def cut_runs(names: Iterable[str]) -> Iterator[list[str]]:
    """Sorted names, cut where a name's own digest ends a run: equal neighbourhoods give equal runs."""
    run: list[str] = []
    for name in sorted(names):
        run.append(name)
        # not every sixteenth name: one new name would shift all runs behind it, and every release would store its own
        if int(hashlib.sha256(name.encode()).hexdigest()[:4], 16) % RUN_NAMES == 0:
            yield run
            run = []
    if run:
        yield run


def blocks_path(folder: Path, engine: str) -> Path:
    return folder / FOLDER / f"{engine}.blocks"


@cache
def read_blocks(path: Path) -> Mapping[str, str]:
    """Address -> JSON text of every block of an engine, unparsed; empty where there is no file."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {key: text for key, _, text in (line.partition(" ") for line in lines)}


def expand_blocks(addresses: str, path: Path) -> list[Any]:
    """Expand a space-separated list of addresses into its values, in order.

    Raises:
        ConfigError: a block that the release names is not in the file.
    """
    held = read_blocks(path)
    try:
        return json.loads("[" + ",".join(held[key] for key in addresses.split()) + "]")  # type: ignore[no-any-return]
    except KeyError as error:
        message = f"no block {error.args[0]!r}; extract the release anew: glm-matrix snapshot NAME==VERSION"
        raise ConfigError([Problem(str(path), 0, "", message)]) from None


def write_blocks(path: Path, texts: Iterable[str]) -> None:
    """Write one line a block, sorted by content, so that variants of one flag stand beside each other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{address_block(text)} {text}\n" for text in sorted(set(texts))]
    path.write_text("".join(lines), encoding="utf-8")
    # the same process reads again what it has just written (snapshot of several releases)
    read_blocks.cache_clear()
