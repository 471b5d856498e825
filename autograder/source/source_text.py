"""A source file as text and as syntax tree, and the way from positions in the tree to offsets in the text.

The tree counts lines as the tokenizer does and columns in UTF-8 bytes. Edits need offsets into a string. The tree is never
turned back into text, so everything that an edit does not name stays as its author wrote it.
"""

import ast
import bisect
import re
import threading

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

_parsing = threading.Lock()


def parse(source: str) -> ast.Module:
    """The tree of a source, one at a time: Pythons before 3.11.5 count the depth of all threads in one number and stumble.

    SyntaxError, ValueError, RecursionError, MemoryError: it cannot be parsed.
    """
    with _parsing:
        return ast.parse(source)


class SourceText:
    """A text, its tree, and edits to it. SyntaxError if it cannot be parsed."""

    def __init__(self, source: str):
        self.text = source.removeprefix("\ufeff")  # some editors put this mark; Python accepts it in files alone
        self.mark = source[: len(source) - len(self.text)]
        self.tree = parse(self.text)
        # splitlines would also split at form feeds and such, where the tree sees no new line.
        self.lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", self.text)
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))

    def place(self, line: int, column: int) -> int:
        """The offset of a position in the tree. line: from 1; column: in bytes, from 0."""
        return self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())

    def line_of(self, place: int) -> int:
        """The number, from 1, of the line that an offset lies in."""
        return bisect.bisect_right(self.starts, place, hi=len(self.lines))

    def line_end(self, line: int) -> int:
        """The offset at which a line ends, before its line break."""
        return self.starts[line - 1] + len(self.lines[line - 1].rstrip("\r\n"))

    def indentation(self, line: int) -> str:
        """The white space that a line starts with."""
        return self.lines[line - 1][: -len(self.lines[line - 1].lstrip(" \t\f"))]

    def extent(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        """The offsets of start and end of a node, by the tree alone."""
        assert node.end_lineno is not None and node.end_col_offset is not None  # a parsed node has them
        return self.place(node.lineno, node.col_offset), self.place(node.end_lineno, node.end_col_offset)

    def span(self, node: ast.stmt) -> tuple[int, int]:
        """The offsets of start and end of a statement. A definition goes from its first decorator to its last comment."""
        start, end = self.extent(node)
        if isinstance(node, Definition):
            if node.decorator_list:
                first = node.decorator_list[0]
                start = self.text.rindex("@", 0, self.place(first.lineno, first.col_offset))
            end = self._last_comment(node) or end
        return start, end

    def _last_comment(self, node: ast.stmt) -> int | None:
        """The end of the comments that follow a definition and are indented more than it. None if there are none."""
        assert node.end_lineno is not None
        end = None
        for number in range(node.end_lineno + 1, len(self.lines) + 1):
            line = self.lines[number - 1].strip()
            if line.startswith("#") and len(self.indentation(number)) > node.col_offset:
                end = self.line_end(number)
            elif line:
                break
        return end

    def leading(self) -> list[ast.stmt]:
        """The docstring and the imports that the file starts with."""
        body = self.tree.body
        count = int(ast.get_docstring(self.tree, clean=False) is not None)
        while count < len(body) and isinstance(body[count], ast.Import | ast.ImportFrom):
            count += 1
        return body[:count]

    def after_imports(self, new: str) -> tuple[int, int, str]:
        """The edit that puts new lines after the imports, or before the code of a file without imports."""
        if leading := self.leading():
            last = leading[-1]
            assert last.end_lineno is not None
            end = self.line_end(last.end_lineno)
            return end, end, f"\n{new}"
        if self.tree.body:
            start, _ = self.span(self.tree.body[0])
            return start, start, f"{new}\n"
        return len(self.text), len(self.text), f"{new}\n" if self.text[-1:] in ("", "\r", "\n") else f"\n{new}\n"

    def edited(self, edits: list[tuple[int, int, str]]) -> str:
        """The text after these edits. Each is (start, end, new): the text between two offsets becomes `new`."""
        text = self.text
        for start, end, new in sorted(edits, reverse=True):
            text = text[:start] + new + text[end:]
        return self.mark + text
