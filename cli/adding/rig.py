"""`add rig`: another count of a GPU that is on the axes is one line of its file, and one of ci/runners.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.yaml.loaded import Matrix

MOST_GPUS: Final = 72  # of one NVLink domain (GB200 NVL72, docs of nvidia.com): no rig that is published has more
BLOCK: Final = re.compile(r"^rigs:[ \t]*(?:#[^\n]*)?\n(?:[ \t]+[^\n]*\n|[ \t]*\n)+", re.MULTILINE)
INLINE: Final = re.compile(r"^rigs:[ \t]*\{(?P<inside>[^}]*)\}", re.MULTILINE)


def name_rig(matrix: Matrix, gpu_id: str, count: int, name: str | None) -> str:
    """Return the rig's id: the given one, or one like its siblings'.

    Raises:
        ConfigError: no such GPU, no such count, or there is a rig of that id or count.
    """
    if gpu_id not in matrix.gpus:
        raise ConfigError([Problem("--gpu", 0, "", f"no GPU {gpu_id!r}{suggest_nearest(gpu_id, matrix.gpus)}")])
    if not 1 <= count <= MOST_GPUS:
        raise ConfigError([Problem("--count", 0, "", f"expected 1 to {MOST_GPUS} GPUs, got {count}")])
    gpu = matrix.gpus[gpu_id]
    same = [rig for rig, gpus in gpu.rigs.items() if gpus == count]
    if same:
        raise ConfigError([Problem("--count", 0, "", f"{same[0]} is {count} x {gpu.name} already")])
    chosen = name or _like_siblings(list(gpu.rigs), f"sm{gpu.sm}x{count}", gpu_id)
    if chosen in matrix.rigs:
        raise ConfigError([Problem("--id", 0, "", f"there is a rig {chosen!r} already; choose another --id")])
    return chosen


def _like_siblings(siblings: list[str], head: str, gpu_id: str) -> str:
    """`sm90x4_h100` beside sm90x8_h100: the prefix and the ending of the GPU's other rigs."""
    ends = {m["end"] for name in siblings if (m := re.fullmatch(r"sm\d+x\d+(?P<end>\w*)", name))}
    # siblings of two endings show no habit to follow
    return f"{head}{next(iter(ends))}" if len(ends) == 1 else f"{head}_{gpu_id.partition('_')[0]}"


def insert_rig(text: str, rig: str, count: int) -> str:
    """Insert the rig at the end of `rigs:`, in block or in brackets.

    Raises:
        ConfigError: the file writes `rigs:` in another way.
    """
    if (found := INLINE.search(text)) is not None:
        # text, not YAML written anew: that would lose the file's comments, where sources stand
        inside = f"{found['inside'].strip()}, {rig}: {count}"
        return f"{text[: found.start()]}rigs: {{{inside}}}{text[found.end() :]}"
    block = BLOCK.search(text)
    if block is None:
        raise ConfigError(
            [Problem("rigs", 0, "", f"expected `rigs:` as a block or in {{}}; add by hand: {rig}: {count}")]
        )
    return f"{text[: block.end()]}  {rig}: {count}\n{text[block.end() :]}"


def insert_runner(text: str, rig: str) -> str:
    """Say in ci/runners.yaml that nobody runs the rig yet."""
    return f"{text.rstrip()}\n  {rig}: {{none: nobody has one on a runner yet}}\n"


def file_of(root: Path, gpu_id: str) -> Path:
    return root / "axes" / "hardware" / f"{gpu_id}.yaml"
