"""Modules that a worker imports from memory: given parts of the assignment that is graded, which lie in no file."""

import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType


class InMemory(MetaPathFinder, Loader):
    """Finds modules among these sources. What else is asked of the same package is refused with a sentence.

    package: "given.a01_transformer".
    sources: text by the full name of the module.
    """

    def __init__(self, package: str, sources: Mapping[str, str]):
        self._package, self._sources = package, sources

    def install(self) -> None:
        """Ask this finder first from now on."""
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Ask it no more, and forget the modules that it has found."""
        sys.meta_path.remove(self)
        for name in [name for name in sys.modules if self._is_of_the_package(name)]:
            del sys.modules[name]

    def _is_of_the_package(self, name: str) -> bool:
        return name == self._package or name.startswith(f"{self._package}.")

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Answer the import system.

        ModuleNotFoundError: the module is of this package, and it is not among the sources.
        """
        if not self._is_of_the_package(name):
            return None
        if name not in self._sources:
            raise ModuleNotFoundError(
                f"{name} cannot be imported here: it holds what this assignment asks you to write", name=name
            )
        return spec_from_loader(name, self, is_package=name == self._package)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's source. Its frames bear the name of a file, as those of given parts on the disk do."""
        path = f"{module.__name__.replace('.', '/')}.py"
        exec(compile(self._sources[module.__name__], path, "exec"), module.__dict__)
