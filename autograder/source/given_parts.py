"""The given parts of the assignment that is graded. They lie in no tree that a worker reads.

A worker that runs the student's code gets the parts that its check puts in the place of the student's or imports itself,
together with what they are made of. Everything else of the package is taken out of the text. So a submission can find no
given part but those that this one check does not ask for.
"""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from autograder.assignment import Course
from autograder.errors import GraderFault
from autograder.source.bindings import bindings, bound_names, defines, own_nodes
from autograder.source.seal import SUFFIX, seal, unseal
from autograder.source.source_text import Definition, parse

Place = tuple[str, str]  # a module and a name in it; the name "" stands for all of the module


@dataclass(frozen=True)
class GivenParts:
    """The sources of `given.<package>`. sources: text by module; empty where nothing is given."""

    package: str
    sources: Mapping[str, str]

    @classmethod
    def of(cls, course: Course, package: str) -> "GivenParts":
        """The given parts of an assignment, from the folder of its name or from the sealed file.

        GraderFault: the sealed file is damaged.
        """
        folder, sealed = course.given / package, course.given / f"{package}{SUFFIX}"
        if folder.is_dir():
            return cls(package, {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))})
        if not sealed.is_file():
            return cls(package, {})
        try:
            return cls(package, unseal(package, sealed.read_bytes()))
        except (OSError, ValueError) as error:
            raise GraderFault(f"{sealed.name} is damaged; fetch the release anew ({error})") from None

    def sealed(self) -> dict[str, bytes]:
        """The sealed file by its name. Empty where nothing is given."""
        return {f"{self.package}{SUFFIX}": seal(self.package, dict(self.sources))} if self.sources else {}

    def has(self, part: str) -> bool:
        """Whether there is such a part, "attention.causal_mask". A method is there if its class is."""
        module, _, name = part.partition(".")
        return defines(self.sources.get(module, ""), name.partition(".")[0])

    def whole(self) -> dict[str, str]:
        """Everything, as text by the full name of the module. For a worker without code of a student."""
        return self._by_full_name(self.sources)

    def only(self, parts: Iterable[str]) -> dict[str, str]:
        """The modules that hold these parts and what they are made of, and nothing else. Text by the full name.

        parts: "attention.causal_mask", or "attention" for a whole module.
        """
        places: set[Place] = set()
        for part in parts:
            module, _, name = part.partition(".")
            self._follow((module, name.partition(".")[0]), places)
        modules = {module for module, _ in places}
        kept = {module: self._kept(module, {n for m, n in places if m == module}) for module in self.sources if module in modules}
        return self._by_full_name(kept) if kept else {}

    def made_of(self, part: str) -> frozenset[str]:
        """The definitions of the package that a part is made of, itself included: "rope.rotate"."""
        places: set[Place] = set()
        module, _, name = part.partition(".")
        self._follow((module, name.partition(".")[0]), places)
        return frozenset(f"{module}.{name}" for module, name in places)

    def _follow(self, place: Place, places: set[Place]) -> None:
        """Add a place, and the places in this package that its text refers to."""
        module, name = place
        if place in places or module not in self.sources:
            return
        places.add(place)
        body = _body(self.sources[module])
        statements = [*bindings(body, name), *_at_work_on(body, {name})] if name else body
        for statement in statements:
            for node in ast.walk(statement):
                if isinstance(node, ast.ImportFrom) and (origin := self._origin(node)) is not None:
                    for alias in node.names:
                        if statement is not node or alias.asname == name or alias.name == name:
                            self._follow((origin, alias.name) if origin else (alias.name, ""), places)
            for used in _names_in(statement):
                if any(True for _ in bindings(body, used)):
                    self._follow((module, used), places)

    def _origin(self, statement: ast.ImportFrom) -> str | None:
        """The module of this package that something is imported from, "" for the package itself. None: from elsewhere."""
        here = f"given.{self.package}"
        if statement.level == 1:
            return statement.module or ""
        if statement.level == 0 and statement.module in (here, *(f"{here}.{module}" for module in self.sources)):
            return (statement.module or "").removeprefix(here).removeprefix(".")
        return None

    def _kept(self, module: str, names: set[str]) -> str:
        """The text of a module with these names alone, and with all that it imports from elsewhere."""
        body = _body(self.sources[module])
        if "" in names:
            return self.sources[module]
        kept: list[ast.stmt] = []
        for statement in body:
            if isinstance(statement, ast.Import):
                kept.append(statement)
            elif isinstance(statement, ast.ImportFrom):
                wanted = [a for a in statement.names if self._origin(statement) is None or (a.asname or a.name) in names]
                if wanted:
                    kept.append(ast.ImportFrom(statement.module, wanted, statement.level))
            elif names & _bound_by(statement) or statement in _at_work_on(body, names):
                kept.append(statement)
        return ast.unparse(ast.fix_missing_locations(ast.Module(kept, [])))

    def _by_full_name(self, sources: Mapping[str, str]) -> dict[str, str]:
        here = f"given.{self.package}"
        return {here: ""} | {f"{here}.{module}": text for module, text in sources.items() if module != "__init__"}


def given_files(course: Course, due: str) -> dict[str, bytes]:
    """What ships of the given parts, by the path in their folder: earlier assignments as source, the one that is due sealed.

    due: the package of an assignment, "a03_modern". Parts of later ones do not ship.
    """
    files = {"__init__.py": (course.given / "__init__.py").read_bytes()}
    for folder in sorted(path for path in course.given.iterdir() if path.is_dir() and path.name < due):
        files |= {f"{folder.name}/{path.name}": path.read_bytes() for path in sorted(folder.glob("*.py"))}
    return files | GivenParts.of(course, due).sealed()


@cache
def _body(source: str) -> list[ast.stmt]:
    return parse(source).body


def _names_in(statement: ast.stmt) -> set[str]:
    """Every name that a statement mentions, wherever it stands in it."""
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _bound_by(statement: ast.stmt) -> set[str]:
    return set().union(*map(bound_names, own_nodes(statement)))


def _at_work_on(body: list[ast.stmt], names: set[str]) -> list[ast.stmt]:
    """The statements of a module that change one of these functions or classes: `@plain.register(dict)`, `plain.register(int)(f)`."""
    changed = names & {statement.name for statement in body if isinstance(statement, Definition)}

    def changes(node: ast.AST) -> bool:
        return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in changed

    looked_at = lambda statement: statement.decorator_list if isinstance(statement, Definition) else [statement]
    return [one for one in body if any(changes(node) for part in looked_at(one) for node in ast.walk(part))]


@cache
def parts_that_checks_import(path: Path, package: str) -> dict[str, frozenset[str]]:
    """The parts of `given.<package>` that each function of a check file imports, itself or by a function that it calls."""
    tree = parse(path.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    reached: dict[str, set[str]] = {}
    for name in functions:
        pending, seen = {name}, set()
        while pending:
            seen |= pending
            pending = set().union(*(_names_in(functions[one]) & functions.keys() for one in pending)) - seen
        reached[name] = seen
    here = f"given.{package}"
    own = {name: _imported(node, here) for name, node in functions.items()}
    return {name: frozenset().union(*(own[one] for one in seen)) for name, seen in reached.items()}


def _imported(function: ast.FunctionDef, package: str) -> frozenset[str]:
    found = set()
    for node in ast.walk(function):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(package):
            module = node.module.removeprefix(package).removeprefix(".")
            found |= {f"{module}.{alias.name}" if module else alias.name for alias in node.names}
    return frozenset(found)
