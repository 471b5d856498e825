"""Which statements of a block bind a name, and whether a file defines it, read off the syntax tree."""

import ast
from collections.abc import Iterator

from autograder.source.source_text import Definition, SourceText

MAX_SOURCE = 1 << 20  # characters of a source that is parsed to look for a name


def defines(source: str, name: str) -> bool:
    """Whether a source binds `name` at its top level. False if it is too long or cannot be parsed.

    `from module import *` counts as binding nothing, because its names cannot be read off the text.
    """
    if len(source) > MAX_SOURCE:
        return False
    try:
        return any(not _is_star(statement) for statement in bindings(SourceText(source).tree.body, name))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _is_star(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*"


def bindings(body: list[ast.stmt], name: str) -> Iterator[ast.stmt]:
    """The statements that bind `name` in a block and in the blocks nested in it. Inner scopes are left out.

    `from module import *` is among them, because it may bind any name.
    """
    for statement in body:
        if isinstance(statement, Definition):
            if statement.name == name:
                yield statement
            continue
        for block in nested_blocks(statement):
            yield from bindings(block, name)
        if {name, "*"} & set().union(*map(bound_names, own_nodes(statement))):
            yield statement


def nested_blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    """The nested blocks of a compound statement. A statement that is not compound has none."""
    parts = [statement, *getattr(statement, "handlers", ()), *getattr(statement, "cases", ())]
    return [getattr(part, field) for part in parts for field in ("body", "orelse", "finalbody") if hasattr(part, field)]


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """A node and the parts of it, without the statements nested in it and without what has a scope of its own."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.stmt | ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            yield from own_nodes(child)


def bound_names(node: ast.AST) -> set[str]:
    """The names that this node itself binds, without those that its parts bind."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    if isinstance(node, ast.alias):
        return {node.asname or node.name.partition(".")[0]}
    if isinstance(node, Definition | ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return {node.name} if node.name else set()
    return {node.rest} if isinstance(node, ast.MatchMapping) and node.rest else set()
