"""Stand-ins for a package that takes seconds to import, while a file is read that needs it only when its functions run.

A stand-in takes the place of the package and of each submodule (`import torch`, `from torch import nn`). It imports the real
one when something else is taken from it. That is a class to inherit from, or a function imported by its name.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType


@contextmanager
def loaded_later(package: str) -> Iterator[None]:
    """Import stand-ins of this package inside the `with` block, if it is not imported yet. Afterwards they still work."""
    if package in sys.modules:
        yield
        return
    stand_ins = _StandIns(package)
    try:
        yield
    finally:
        stand_ins.remove()


class _StandIn(ModuleType):
    """A module that is imported when something is first taken from it."""

    def __init__(self, name: str, stand_ins: _StandIns):
        super().__init__(name)
        self._stand_ins = stand_ins

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)  # the import system asks for these
        if self._stand_ins.has_module(inner := f"{self.__name__}.{name}"):
            return importlib.import_module(inner)
        self._stand_ins.remove()
        module = importlib.import_module(self.__name__)
        self.__dict__.update(module.__dict__)
        return getattr(module, name)


class _StandIns(MetaPathFinder, Loader):
    """All stand-ins of one package, and the import hook that makes them."""

    def __init__(self, package: str):
        spec = PathFinder.find_spec(package)
        locations = spec.submodule_search_locations if spec else None
        self._package, self._parents = package, [Path(location).parent for location in locations or ()]
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Let the package be imported as usual from now on."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            for name, module in list(sys.modules.items()):
                if isinstance(module, _StandIn):
                    del sys.modules[name]

    def has_module(self, name: str) -> bool:
        """Whether there is a module of that name in the package. It is looked for on the disk."""
        if name.partition(".")[0] != self._package:
            return False
        paths = [parent.joinpath(*name.split(".")) for parent in self._parents]
        return any((path / "__init__.py").is_file() or path.with_suffix(".py").is_file() for path in paths)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Answer the import system: a module of this package comes from here."""
        return spec_from_loader(name, self, is_package=True) if self.has_module(name) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A stand-in in the place of the module."""
        return _StandIn(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is run."""
