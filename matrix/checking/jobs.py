"""How many GPUs of a host a batch job asks for: directives of Slurm, PBS, LSF and Flux, options of srun."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise, takewhile
from pathlib import PurePosixPath
from typing import Final

from matrix.checking.variables import Word

DIRECTIVE: Final = re.compile(r"^#[ \t]?(?:SBATCH|PBS|BSUB|flux:|FLUX:)[ \t]+(.*)$", re.M)
# --gres=gpu:h200:4, --gpus-per-node=4, -l select=1:ngpus=4, -gpu num=4; --gpus (-G) counts the GPUs of all hosts
OF_A_HOST: Final = (
    re.compile(r"--gres[= ]\S*?gpu(?::[a-z][\w.-]*)?:(\d+)"),
    re.compile(r"--gpus-per-node[= ](?:[a-z][\w.-]*:)?(\d+)"),
    re.compile(r"\bngpus=(\d+)"),
    re.compile(r"-gpu[= ]\"?(?:[^\"\s]*:)?num=(\d+)"),  # of each host, unless LSF is set up otherwise
)
OF_THE_JOB: Final = re.compile(r"(?:--gpus|-G)[= ]?(?:[a-z][\w.-]*:)?(\d+)\b(?!\S)")
NODES: Final = re.compile(r"(?:--nodes[= ]|-N[= ]?)(\d+)\b")


def read_job_gpus(text: str) -> str:
    """Return the GPUs of one host that the directives of a script give; "" where they say none."""
    return _count_gpus(" \n".join(DIRECTIVE.findall(text)))


def read_step_gpus(words: Sequence[Word]) -> str:
    """Return the GPUs of one host that the options of `srun` in front of an engine give."""
    if not words or PurePosixPath(words[0].text).name != "srun":
        return ""
    # up to the program: behind it stand words of the engine
    options = takewhile(lambda w: w.text.startswith("-") or w.text.replace(":", "").isalnum(), words[1:])
    return _count_gpus(" ".join(w.text for w in options))


def read_step_image(words: Sequence[Word]) -> Word | None:
    """Return the image of pyxis (`srun --container-image=nvcr.io#nvidia/x:1`), as docker would write its name."""
    if not words or PurePosixPath(words[0].text).name != "srun":
        return None
    for word, after in pairwise((*words, Word(""))):
        name, equals, value = word.text.partition("=")
        if name == "--container-image":
            text = (value if equals else after.text).removeprefix("docker://")
            return Word(text.replace("#", "/", 1), word.line, word.holes)
    return None


def _count_gpus(text: str) -> str:
    for pattern in OF_A_HOST:
        if found := pattern.search(text):
            return found[1]
    whole, nodes = OF_THE_JOB.search(text), NODES.search(text)
    if whole is None:
        return ""
    hosts = int(nodes[1]) if nodes else 1
    return str(int(whole[1]) // hosts) if hosts > 0 else ""
