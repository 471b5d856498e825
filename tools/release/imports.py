"""Find imports of the course's own modules that would find nothing in a release.

The given parts of the assignment that is due are sealed: its checks get them from the grader, and nobody else does. Left out:
what a file opens, which only running it shows, and modules of other packages, which `make setup` installs.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from autograder.source.seal import SUFFIX
from autograder.submission.reset import RELEASE
from tools.grader_files import files_below
from tools.release.scan import Finding

_ON_THE_PATH = ("assignments/", "datasets/", "")  # folders that `make setup` makes importable
_OF_THE_COURSE, _OF_THE_GRADER = ("assignments", "datasets", "reference"), ("autograder", "tools")


def missing_imports(files: dict[str, bytes], root: Path, grader: Path) -> Iterator[Finding]:
    """The imports in these files of modules of the course that are not among them.

    root, grader: the folders in which the course and its grader lie, with what does not ship.
    """
    folders = [*((root, name) for name in _OF_THE_COURSE), *((grader, name) for name in _OF_THE_GRADER)]
    there = _modules(files)
    known = _modules(path.relative_to(lies).as_posix() for lies, name in folders for path in files_below(lies / name))
    ours = {name.partition(".")[0] for name in known}
    sealed = {_module(path.removesuffix(SUFFIX)) for path in files if path.endswith(SUFFIX)}
    for path, data in files.items():
        if not path.endswith(".py") or path.startswith(RELEASE):
            continue
        reached = sealed if "/tests/" in path else set()
        for line, module, names in _imports(path, ast.parse(data)):
            if module.partition(".")[0] not in ours:
                continue
            wanted = [module, *(name for name in names if name in known)]  # a name may also be a function
            for name in wanted:
                if name not in there and not any(f"{name}.".startswith(f"{package}.") for package in reached):
                    yield Finding(path, str(line), f"imports {name}")


def _modules(paths: Iterable[str]) -> set[str]:
    """The modules in these files, and the packages that they are in."""
    found: set[str] = set()
    for path in paths:
        if path.endswith(".py"):
            module = _module(path)
            found |= {module, *(module[:i] for i, letter in enumerate(module) if letter == ".")}
    return found


def _module(path: str) -> str:
    """What a file is imported as."""
    short = path.removeprefix(next(folder for folder in _ON_THE_PATH if path.startswith(folder)))
    return short.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imports(path: str, tree: ast.Module) -> Iterator[tuple[int, str, list[str]]]:
    """(line, module, names that may be modules in it) of every import of a file, those in functions too."""
    package = _module(path).split(".")
    if not path.endswith("/__init__.py"):
        package.pop()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            outer = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*outer, *filter(None, [node.module])])
            yield node.lineno, module, [f"{module}.{alias.name}" for alias in node.names]
