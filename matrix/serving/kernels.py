"""The section on compiled kernels: what the first start compiles, where it is kept, and how it is compiled ahead.

The engine's own code compiles: a launch makes the same call and finds the same cache, so nothing is compiled twice.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from matrix.output.script import quote_word
from matrix.output.writable import JIT, JIT_CACHES
from matrix.planning.compiles import describe_compile, find_compiles
from matrix.planning.plan import Plan
from matrix.serving import container as docker
from matrix.serving.prepare import write_comment

NOTHING: Final = "# No kernel of this launch is known to compile for minutes; what compiles is kept below ~/.cache."
KEEP: Final = "# Nothing compiles these ahead: keep the folder between runs, and the second start finds them."
# The launch works without them, only later: a host that cannot compile ahead is told so and goes on.
GOES_ON: Final = 'warn "it did not compile ahead; the launch compiles it"'


def warm_kernels(plan: Plan, *, container: bool) -> Iterator[str]:
    """Tell what is compiled and where it is kept, and compile ahead what can be, one entry after the other."""
    entries = find_compiles(plan)
    environment = docker.environment_of(plan) if container else plan.env
    for entry in entries:
        yield from write_comment(f"{entry.id}: {describe_compile(entry, environment)} [{entry.source}]")
        # in a container nothing runs before the engine: what it compiles is kept in the volume instead
        if entry.warm and not container:
            # the launch's own cache folders: compiled elsewhere, the kernels would be compiled a second time
            moved = [f"{k}={v}" for k, v in plan.env.items() if k in JIT_CACHES]
            python = " ".join([*(["env"] if moved else []), *map(quote_word, moved), '"$VENV/bin/python"'])
            yield f"{python} -c {shlex.quote(chr(10).join(entry.warm))} || {GOES_ON}"
        else:
            yield KEEP
    if container:
        yield from write_comment(f"{JIT} is the volume {docker.cache_volume(plan)}: it outlives the container.")
    elif not entries:
        yield NOTHING
