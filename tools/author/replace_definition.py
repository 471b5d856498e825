"""Replace a definition of the reference by another version of it, as text. All else stays as its author wrote it."""

import ast
import re
from collections.abc import Iterator

from autograder.source.bindings import bindings, bound_names, own_nodes
from autograder.source.source_text import Definition, SourceText
from tools.author.cases import Case, names_looked_up


def replace_definition(source: str, qualname: str, case: Case) -> str:
    """`source` with the definition of `qualname` ("rotate", "MultiHeadAttention.forward") replaced by the case's.

    The case takes the target's name and indentation. The target's decorators go, and those of the case stay. Imports and
    helpers that the case uses come after the file's own imports.

    ValueError: the file does not have exactly one such definition, or the case does not fit it. Cases are written for the
    reference, so that is a mistake of their author.
    """
    text = SourceText(source)
    node = _sole_definition(text.tree, qualname)
    _refuse_misfit(node, qualname, case)
    start, end = text.span(node)
    edits = [(start, end, _renamed(case, qualname, text.indentation(node.lineno)))]
    if new := _missing(case, text.tree):
        edits.append(text.after_imports("\n".join(new)))
    return text.edited(edits)


def _sole_definition(tree: ast.Module, qualname: str) -> Definition:
    """The definition of a qualified name. ValueError if something else binds one of its names, or nothing does."""
    outer, _, name = qualname.rpartition(".")
    body = _sole_definition(tree, outer).body if outer else tree.body
    binders = list(bindings(body, name))
    if len(binders) == 1 and isinstance(binders[0], Definition):
        return binders[0]
    lines = ", ".join(str(node.lineno) for node in binders) or "none"
    raise ValueError(f"{qualname}: expected one def or class {name}; found on lines: {lines}")


def _refuse_misfit(node: Definition, qualname: str, case: Case) -> None:
    """ValueError if a case cannot stand in the place of a definition."""
    new = _definition_of(ast.parse(case.source))
    if isinstance(node, ast.ClassDef) != isinstance(new, ast.ClassDef):
        raise ValueError(
            f"{case.name} and {qualname} must be both classes or both functions; to change a method, make it the target"
        )
    binding = {"staticmethod", "classmethod", "property"} & {ast.unparse(d) for d in node.decorator_list}
    if lost := binding - {ast.unparse(d) for d in new.decorator_list}:
        raise ValueError(f"{qualname} is a {lost.pop()}, and {case.name} must be decorated so too")
    used = {ast.unparse(base) for base in new.bases} if isinstance(new, ast.ClassDef) else names_looked_up(case.source)
    if qualname in used:
        raise ValueError(
            f"{case.name} uses {qualname}, which it replaces: write it out in full, or call {case.name} for recursion"
        )


def _definition_of(tree: ast.Module) -> Definition:
    """The definition that a case consists of."""
    node = tree.body[-1]
    assert isinstance(node, Definition)
    return node


def _renamed(case: Case, qualname: str, indentation: str) -> str:
    """The case's text under the target's name and at its indentation. The insides of strings stay as they are."""
    text = SourceText(case.source)
    node = _definition_of(text.tree)
    head = re.compile(r"(?:async\s+)?(?:def|class)\s+").match(text.text, text.place(node.lineno, node.col_offset))
    assert head is not None
    uses = (n for n in ast.walk(text.tree) if isinstance(n, ast.Name) and n.id == case.name)
    names = [(head.end(), qualname.rpartition(".")[2]), *((text.place(n.lineno, n.col_offset), qualname) for n in uses)]
    edits = [(at, at + len(case.name), new) for at, new in names if text.text.startswith(case.name, at)]
    inside = _lines_inside_strings(text.tree)
    for number, (line, start) in enumerate(zip(text.lines, text.starts, strict=False), start=1):
        if number > 1 and number not in inside and line.strip():
            edits.append((start, start, indentation))
    return text.edited(edits)


def _lines_inside_strings(tree: ast.Module) -> set[int]:
    """Numbers of the lines that start inside a string, so that a space before them would change it."""
    is_text = lambda node: isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    strings = (n for n in ast.walk(tree) if isinstance(n, ast.expr) and (isinstance(n, ast.JoinedStr) or is_text(n)))
    return {line for n in strings for line in range(n.lineno + 1, (n.end_lineno or n.lineno) + 1)}


def _missing(case: Case, tree: ast.Module) -> list[str]:
    """The imports and helpers of the case that the file lacks. ValueError if one would take the name of another thing."""
    present = {line for statement in tree.body for line in _single_imports(statement)}
    missing = [snippet for snippet in case.preamble if snippet not in present]
    for statement in ast.parse("\n".join(missing)).body:
        for name in set().union(*map(bound_names, own_nodes(statement))):
            if any(bindings(tree.body, name)):
                raise ValueError(f"{case.name} brings {name} along, and the module has a {name} of its own; rename it")
    return missing


def _single_imports(statement: ast.stmt) -> Iterator[str]:
    """An import as text, once for each name that it imports. Nothing for another statement."""
    if isinstance(statement, ast.Import):
        yield from (ast.unparse(ast.Import([alias])) for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        yield from (ast.unparse(ast.ImportFrom(statement.module, [a], statement.level)) for a in statement.names)
