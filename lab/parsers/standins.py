"""Stand-ins for what a release imports beside its parsers and a parser never calls: torch, kernels, model code.

Runs inside the release's own environment, so it knows nothing but the standard library. While modules are imported a
stand-in accepts everything (a base class, a decorator, a type); from `seal` on, calling one raises, so that no result
can come from code that is not the release's own. Every name that was imported as a stand-in is listed in the result.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import re
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

LOGGERS = (".init_logger().", ".logger.logger.")  # what a parser logs goes nowhere; it decides nothing

CONSTANTS = {"torch.long.max": 2**63 - 1, "torch.long.min": -(2**63)}  # of torch.iinfo(torch.long), bounds of a seed


class StandInCalledError(RuntimeError):
    """A parser called something that stands in for absent code: its answer would not be the release's."""


class _Absent:
    """An object that stands for anything while modules are imported: a class, a base, a decorator, a constant."""

    sealed = False

    def __init__(self, path: str) -> None:
        self._path = path
        self.__name__ = self.__qualname__ = path.rpartition(".")[2]

    def __getattr__(self, name: str) -> Any:
        # pydantic asks every annotation for its schema: a stand-in takes any value
        if name == "__get_pydantic_core_schema__":
            return lambda *_: {"type": "any"}
        # protocols are probed by attribute: one that seems to have them all is taken for an iterator or an array
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        path = f"{self._path}.{name}"
        return CONSTANTS.get(path, make_absent(path))

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        # loggers are made while modules are imported and called while parsers run
        if _Absent.sealed and any(logger in self._path for logger in LOGGERS):
            return None
        if _Absent.sealed:
            raise StandInCalledError(self._path)
        if len(arguments) == 1 and not named and callable(arguments[0]):
            return arguments[0]  # a decorator
        return make_absent(f"{self._path}()")

    def __mro_entries__(self, _: tuple[type, ...]) -> tuple[type, ...]:
        return ()

    def __instancecheck__(self, _: object) -> bool:
        return False

    def __subclasscheck__(self, _: object) -> bool:
        return False

    def __or__(self, _: Any) -> Any:
        return self

    def __ror__(self, _: Any) -> Any:
        return self

    def __getitem__(self, _: Any) -> Any:
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __bool__(self) -> bool:
        return False


_made: dict[str, _Absent] = {}


def make_absent(path: str) -> _Absent:
    """Return the one stand-in of that path."""
    return _made.setdefault(path, _Absent(path))


class _StandInModule(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            return "0"
        if name.startswith("__"):
            raise AttributeError(name)
        return make_absent(f"{self.__name__}.{name}")


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers imports: of the release, what no pattern in `real` matches; of others, what `libraries` names."""

    def __init__(self, package: str, root: str, real: Sequence[str], libraries: Sequence[str]) -> None:
        self.package, self.root = package, root
        self.real = [re.compile(pattern) for pattern in real]
        self.libraries = frozenset(libraries)
        self.imported: list[str] = []

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """Return a spec for a stand-in, or None where the real module is to be imported."""
        top = name.partition(".")[0]
        is_absent = top in self.libraries or (top == self.package and not self._is_real(name))
        if not is_absent:
            return None
        self.imported.append(name)
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def _is_real(self, name: str) -> bool:
        return any(pattern.fullmatch(name) for pattern in self.real)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Return an empty module that has every name."""
        module = _StandInModule(spec.name)
        module.__path__ = [f"{self.root}/{spec.name.replace('.', '/')}"]  # a real module may lie in an absent package
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""


def install_standins(package: str, root: str, real: Sequence[str], libraries: Sequence[str]) -> StandIns:
    """Put the finder first and the release's root on the path; the top package's own `__init__` is not run."""
    finder = StandIns(package, root, real, libraries)
    # first: otherwise a library that happens to be installed here would answer in a stand-in's place
    sys.meta_path.insert(0, finder)
    top = _StandInModule(package)
    top.__path__ = [f"{root}/{package}"]
    sys.modules[package] = top
    return finder


def seal_standins() -> None:
    """From now on a stand-in that is called raises."""
    _Absent.sealed = True
