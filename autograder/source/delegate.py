"""Put the `given` part in the place of a student's, and leave everything else in the file as it is.

The text is edited, at positions that the syntax tree names. Patching the attribute of a loaded module would not do, because
`from .attention import causal_mask` elsewhere has its own reference by then.
"""

import re

from autograder.source.bindings import bindings, nested_blocks
from autograder.source.source_text import Definition, SourceText


def delegate(source: str, qualname: str, given_module: str) -> str:
    """`source` with the top-level name of `qualname` imported from `given_module`, whatever bound it before.

    qualname: "rotate", or "MultiHeadAttention.forward". A method goes with its class.
    given_module: where the part is imported from, "given.a01_transformer.attention".

    Every def or class of that name at the top level becomes the import, also under an `if`, and also if there are several.
    Every other binding (`gelu = lambda x: …`, an import, a `*`) is followed by the import. So the name means the given part
    from its first binding on. A file that never binds the name gets the import beside its own imports, because other
    modules ask this one for the name.

    Line numbers stay, so that a traceback fits the student's file. There are two exceptions, with one line more: a name
    that the head of a loop or a `with` binds, and a file that starts with neither docstring nor imports.
    SyntaxError: `source` cannot be parsed.
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
            end = text.line_end(statement.end_lineno or statement.lineno)
            edits.append((end, end, f"\n{text.indentation(statement.lineno)}{import_it}"))
        else:
            edits.append((end, end, f"; {import_it}"))
    if not edits and (leading := text.leading()):
        _, end = text.span(leading[-1])
        edits.append((end, end, f"; {import_it}"))
    return text.edited(edits or [text.after_imports(import_it)])
