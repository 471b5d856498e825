"""A definition of the reference is replaced by another version of it, as text; all else stays as its author wrote it."""

import ast
import re

from autograder.source.bindings import bindings, bound_names, own_nodes
from autograder.source.source_text import Definition, SourceText
from tools.author.cases import Case, names_looked_up


def replace_definition(source: str, qualname: str, case: Case) -> str:
    """`source` with the definition of `qualname` ("rotate", "MultiHeadAttention.forward") replaced by the case's.

    It takes the target's name and indentation. What stands in the case is all there is: the target's decorators go.
    Imports and helpers that the case uses come after the file's own imports. ValueError if the file does not have
    exactly one such definition, or if the case does not fit it: cases are written for the reference, so that is a slip.
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
    body = tree.body
    for name in qualname.split("."):
        found = list(bindings(body, name))
        if len(found) != 1 or not isinstance(found[0], Definition):
            lines = ", ".join(str(node.lineno) for node in found) or "none"
            raise ValueError(f"{qualname}: expected one def or class {name}; found on lines: {lines}")
        body = found[0].body
    return found[0]


def _refuse_misfit(node: Definition, qualname: str, case: Case) -> None:
    new = ast.parse(case.source).body[-1]
    is_class = isinstance(new, ast.ClassDef)
    if isinstance(node, ast.ClassDef) != is_class:
        raise ValueError(
            f"{case.name} and {qualname} must be both classes or both functions; to change a method, make it the target"
        )
    binding = {"staticmethod", "classmethod", "property"} & {ast.unparse(d) for d in node.decorator_list}
    if lost := binding - {ast.unparse(d) for d in new.decorator_list}:
        raise ValueError(f"{qualname} is a {lost.pop()}, and {case.name} must be decorated so too")
    if qualname in ({ast.unparse(base) for base in new.bases} if is_class else names_looked_up(case.source)):
        raise ValueError(
            f"{case.name} uses {qualname}, which it replaces: write it out in full, or call {case.name} for recursion"
        )


def _renamed(case: Case, qualname: str, indentation: str) -> str:
    """The case's text under the target's name and at its indentation, the insides of strings as they were."""
    text = SourceText(case.source)
    node = text.tree.body[-1]
    nodes = list(ast.walk(text.tree))
    head = re.compile(r"(?:async\s+)?(?:def|class)\s+").match(text.text, text.place(node.lineno, node.col_offset))
    names = [(head.end(), qualname.rpartition(".")[2])]
    names += [(text.place(n.lineno, n.col_offset), qualname) for n in nodes if getattr(n, "id", None) == case.name]
    edits = [(at, at + len(case.name), new) for at, new in names if text.text.startswith(case.name, at)]
    strings = [n for n in nodes if isinstance(n, ast.JoinedStr) or isinstance(getattr(n, "value", None), str | bytes)]
    inside = {line for n in strings for line in range(n.lineno + 1, n.end_lineno + 1)}
    for number, (line, start) in enumerate(zip(text.lines, text.starts, strict=False), start=1):
        if number > 1 and number not in inside and line.strip():
            edits.append((start, start, indentation))
    return text.edited(edits)


def _missing(case: Case, tree: ast.Module) -> list[str]:
    """What the file lacks of the case's imports and helpers. ValueError if one would take the name of another thing."""
    imports = (s for s in tree.body if isinstance(s, ast.Import | ast.ImportFrom))
    present = {ast.unparse(type(s)(**{**vars(s), "names": [alias]})) for s in imports for alias in s.names}
    missing = [snippet for snippet in case.preamble if snippet not in present]
    for statement in ast.parse("\n".join(missing)).body:
        for name in set().union(*map(bound_names, own_nodes(statement))):
            if any(bindings(tree.body, name)):
                raise ValueError(f"{case.name} brings {name} along, and the module has a {name} of its own; rename it")
    return missing
