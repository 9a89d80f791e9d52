"""Lets mutmut make the changes of one share only: of 91,000 changes most of an hour on two cores went into making them.

Every function gets its wrapper all the same, so that what is learnt and what could be disturbed is as in a whole run,
and a change has the number that it has there.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.mutants.shard import Share

# By name: mutmut is in an environment of its own, and the linters run without it.
MODULES = (
    "libcst",
    "mutmut.__main__",
    "mutmut.mutation.file_mutation",
    "mutmut.mutation.trampoline_templates",
    "mutmut.utils.format_utils",
)
WRAPPERS = 2  # of the nodes that mutmut makes for a function: the wrapper and the unchanged function come first


def run_share(share: Share, children: int | None) -> None:
    """Run mutmut (`make mutants` installs it) with the share's changes alone."""
    loaded: list[Any] = [import_module(name) for name in MODULES]
    cst, program, making, templates, names = loaded
    arrange, mutate, of = making.function_trampoline_arrangement, making.mutate_file_contents, [Path()]

    def arrange_share(function: Any, mutants: Iterable[Any], class_name: str | None) -> Any:
        mangled = templates.mangle_function_name(name=function.name.value, class_name=class_name) + "__mutmut"
        numbered = [(f"{mangled}_{number}", mutant) for number, mutant in enumerate(mutants, 1)]
        mine = {name: mutant for name, mutant in numbered if share.holds(names.get_mutant_name(of[0], name))}
        declared, nodes, (first, *_), _ = arrange(function, [*mine.values()], class_name)
        renamed = [n.with_changes(name=cst.Name(name)) for n, name in zip(nodes[WRAPPERS:], mine, strict=True)]
        code = templates.build_mutants_dict_and_name(
            mangled_name=mangled, mutants=[*mine], mutants_dict_name=f"mutants_{mangled}", class_name=class_name
        )
        assigned = list(cst.parse_module(code).body)
        assigned[0] = assigned[0].with_changes(leading_lines=first.leading_lines)
        return declared, [*nodes[:WRAPPERS], *renamed], assigned, [*mine]

    def mutate_file(filename: str, *rest: Any) -> Any:
        of[0] = Path(filename)
        return mutate(filename, *rest)

    making.function_trampoline_arrangement = arrange_share
    program.mutate_file_contents = mutate_file
    program.run.callback((), max_children=children)
