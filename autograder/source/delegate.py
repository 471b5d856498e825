"""One definition of a source file replaced by another one, and nothing else in the file touched.

`replace` puts a case (a misconception, an alternate) into the reference; `delegate` puts the `given` part in the place
of a student's. Both edit the text, at positions that the syntax tree names. Patching the attribute of a loaded module
would not do: `from .attention import causal_mask` elsewhere has its own reference by then.
"""

import re

from autograder.source.bindings import bindings, nested_blocks
from autograder.source.source_text import Definition, SourceText


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
    for statement in bindings(text.tree.body, name):
        start, end = text.span(statement)
        if isinstance(statement, Definition):
            edits.append((start, end, import_it + "".join(re.findall(r"\r\n|\r|\n", text.text[start:end]))))
        elif any(nested_blocks(statement)):
            end = text.line_end(statement.end_lineno)
            edits.append((end, end, f"\n{text.indentation(statement.lineno)}{import_it}"))
        else:
            edits.append((end, end, f"; {import_it}"))
    if not edits and (leading := text.leading()):
        _, end = text.span(leading[-1])
        edits.append((end, end, f"; {import_it}"))
    return text.edited(edits or [text.after_imports(import_it)])
