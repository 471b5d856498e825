"""One definition of a source file replaced by another one, and nothing else in the file touched.

`replace` puts a case (a misconception, an alternate) into the reference; `delegate` puts the `given` part in the place
of a student's. Both edit the text, at positions that the syntax tree names. Patching the attribute of a loaded module
would not do: `from .attention import causal_mask` elsewhere has its own reference by then.
"""

import ast
import re
from collections.abc import Iterator

from autograder.cases import Case, names_looked_up
from autograder.source_text import Definition, SourceText


def replace(source: str, qualname: str, case: Case) -> str:
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


def delegate(source: str, qualname: str, given_module: str) -> str:
    """`source` with the top-level name of `qualname` imported from `given_module`, whatever bound it so far.

    A method goes with its class. Every def or class of that name gives way to the import, wherever at the top level it
    stands (under an `if` too, and several times), and every other binding (`gelu = lambda x: …`, an import, a `*`) has
    the import put behind it. So from its first binding on, the name means the given part. A file that never binds it
    gets the import beside its own, because other modules ask this one for the name.
    Line numbers stay, so that a traceback fits the student's file; one line more is needed only for a name bound by the
    head of a loop or a `with`, and in a file that starts with neither docstring nor imports. SyntaxError if it has one.
    """
    text = SourceText(source)
    name = qualname.partition(".")[0]
    import_it = f"from {given_module} import {name}"
    edits = []
    for statement in _bindings(text.tree.body, name):
        start, end = text.span(statement)
        if isinstance(statement, Definition):
            edits.append((start, end, import_it + "".join(re.findall(r"\r\n|\r|\n", text.text[start:end]))))
        elif any(_blocks(statement)):
            end = text.line_end(statement.end_lineno)
            edits.append((end, end, f"\n{text.indentation(statement.lineno)}{import_it}"))
        else:
            edits.append((end, end, f"; {import_it}"))
    if not edits and (leading := text.leading()):
        _, end = text.span(leading[-1])
        edits.append((end, end, f"; {import_it}"))
    return text.edited(edits or [text.after_imports(import_it)])


def _sole_definition(tree: ast.Module, qualname: str) -> Definition:
    body = tree.body
    for name in qualname.split("."):
        found = list(_bindings(body, name))
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
        for name in set().union(*map(_names, _own_nodes(statement))):
            if any(_bindings(tree.body, name)):
                raise ValueError(f"{case.name} brings {name} along, and the module has a {name} of its own; rename it")
    return missing


def _bindings(body: list[ast.stmt], name: str) -> Iterator[ast.stmt]:
    """The statements of a block that bind `name`, also those of nested blocks; not those of inner scopes."""
    for statement in body:
        if isinstance(statement, Definition):
            if statement.name == name:
                yield statement
            continue
        for block in _blocks(statement):
            yield from _bindings(block, name)
        if {name, "*"} & set().union(*map(_names, _own_nodes(statement))):
            yield statement


def _blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    """The nested blocks of a compound statement."""
    parts = [statement, *getattr(statement, "handlers", ()), *getattr(statement, "cases", ())]
    return [getattr(part, field) for part in parts for field in ("body", "orelse", "finalbody") if hasattr(part, field)]


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """A statement's own parts: not the statements nested in it, nor what has a scope of its own."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.stmt | ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            yield from _own_nodes(child)


def _names(node: ast.AST) -> set[str]:
    """The names that this node by itself binds."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    if isinstance(node, ast.alias):
        return {node.asname or node.name.partition(".")[0]}
    if isinstance(node, Definition | ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return {node.name} - {None}
    return {node.rest} - {None} if isinstance(node, ast.MatchMapping) else set()
