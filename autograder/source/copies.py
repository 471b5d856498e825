"""Which functions of a submission are those of `given`, token for token, whatever their names are called.

Only a person decides what that means. A function is compared by its body without docstring, comments and layout. Names
count by the order in which they first occur, texts count as equal, and attributes of the library stay as they are.
"""

import hashlib
import io
import json
import keyword
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

KNOWN = "given_functions.json"  # beside the solutions, which students do not have
MIN_TOKENS = 30  # of a body. Right code that nobody copied agrees with given code in 19 at most (reference and its cases)
MAX_TOKENS = 200_000  # of a file; the rest of a longer one is not looked at

_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER}
_TEXT_STARTS = {getattr(tokenize, name) for name in ("FSTRING_START", "TSTRING_START") if hasattr(tokenize, name)}
_TEXT_ENDS = {getattr(tokenize, name) for name in ("FSTRING_END", "TSTRING_END") if hasattr(tokenize, name)}


@dataclass(frozen=True)
class Copy:
    """A function of a submission that is one of `given`. place: "attention.py:31 scores"; origin: "a01_transformer/attention.py: f"."""

    place: str
    origin: str

    def __str__(self) -> str:
        return f"{self.place} is token for token {self.origin} of the given parts, whatever its names are called"


@dataclass(frozen=True)
class Function:
    """A function in a source. line: where it begins; tokens: of its body; digest: equal for bodies that differ in names alone."""

    name: str
    line: int
    tokens: int
    digest: str


def find_copies(sources: Mapping[str, str], known: Mapping[str, str]) -> list[Copy]:
    """The functions in these sources whose body is a known one.

    sources: text by the name of the file; one that cannot be split into tokens holds no function.
    known: origins by digest.
    """
    return [
        Copy(f"{file}:{function.line} {function.name}", known[function.digest])
        for file, text in sources.items()
        for function in functions(text)
        if function.tokens >= MIN_TOKENS and function.digest in known
    ]


def known_functions(reference: Path) -> dict[str, str]:
    """Origins by digest, of this release and of older ones. Empty where there is no such list, as on a student's machine.

    reference: the folder of the solutions.
    """
    path = reference / KNOWN
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def functions(source: str) -> Iterator[Function]:
    """The functions and methods in a source, inner ones included, as far as it can be split into tokens."""
    tokens = _tokens(source)
    for start, token in enumerate(tokens):
        if token.string == "def" and token.type == tokenize.NAME and start + 1 < len(tokens):
            body = _without_docstring(_body(tokens, start))
            digest = hashlib.sha256("\n".join(_renamed(body)).encode()).hexdigest()[:24]
            yield Function(tokens[start + 1].string, token.start[0], len(body), digest)


def _tokens(source: str) -> list[tokenize.TokenInfo]:
    """The tokens without layout. Each text counts as one, also one that newer Pythons take apart."""
    found: list[tokenize.TokenInfo] = []
    depth = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type in _TEXT_STARTS:
                depth += 1
                if depth == 1:
                    found.append(token._replace(type=tokenize.STRING))
            elif token.type in _TEXT_ENDS:
                depth -= 1
            elif depth == 0 and token.type not in _LAYOUT:
                found.append(token)
            if len(found) >= MAX_TOKENS:
                break
    except (tokenize.TokenError, SyntaxError, ValueError):  # what came before the fault counts
        pass
    return found


def _body(tokens: list[tokenize.TokenInfo], start: int) -> list[tokenize.TokenInfo]:
    """The tokens of the body of the function whose `def` stands at `start`: of the block, or of the rest of the line."""
    brackets, place = 0, start
    while place < len(tokens) and not (brackets == 0 and tokens[place].string == ":" and tokens[place].type == tokenize.OP):
        brackets += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(tokens[place].string, 0)
        place += 1
    place += 1
    if place >= len(tokens) or tokens[place].type != tokenize.NEWLINE:
        end = next((i for i in range(place, len(tokens)) if tokens[i].type == tokenize.NEWLINE), len(tokens))
        return tokens[place:end]
    depth, first = 0, place + 1
    for end in range(first, len(tokens)):
        depth += {tokenize.INDENT: 1, tokenize.DEDENT: -1}.get(tokens[end].type, 0)
        if depth == 0:
            return tokens[first + 1 : end]
    return tokens[first + 1 :]


def _without_docstring(body: list[tokenize.TokenInfo]) -> list[tokenize.TokenInfo]:
    is_docstring = len(body) > 1 and body[0].type == tokenize.STRING and body[1].type == tokenize.NEWLINE
    return body[2:] if is_docstring else body


def _renamed(body: list[tokenize.TokenInfo]) -> Iterator[str]:
    """The tokens as texts: a number for each name, one word for all texts. Attributes and names of arguments are kept."""
    order: dict[str, int] = {}
    for place, token in enumerate(body):
        before = body[place - 1].string if place else ""
        after = body[place + 1].string if place + 1 < len(body) else ""
        if token.type == tokenize.STRING:
            yield "text"
        elif token.type in (tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE):
            yield tokenize.tok_name[token.type]
        elif (
            token.type != tokenize.NAME
            or keyword.iskeyword(token.string)
            or (before == "." and body[place - 2].string != "self")
            or (after == "=" and before in ("(", ","))
        ):
            yield token.string
        else:
            yield str(order.setdefault(f"{'.' if before == '.' else ''}{token.string}", len(order)))
