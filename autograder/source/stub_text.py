"""The sentences that say what is not done yet. They are written and parsed here, and nowhere else.

    a01_transformer/attention.py: causal_mask() is yours to write (handout: attention, step 2)
    a01_transformer/attention.py: causal_mask() belongs to a01; finish it there or use given
    by_hand.toml: the question 'angle' is still open

The first two are what a stub raises. The third is what an empty answer raises. A sentence reaches the report as the
message of a student's exception, so it is not trusted: only a message that is such a sentence from its first to its last
character is parsed, in time linear in its length, and a long one is not looked at.
"""

from dataclasses import dataclass

MAX_LENGTH = 1_000  # characters of a sentence
_YOURS = "() is yours to write"
_EARLIER, _WAY_OUT = "() belongs to ", "; finish it there or use given"
_QUESTION, _OPEN = "by_hand.toml: the question '", "' is still open"
_STEP, _STEP_END = "(handout: ", ")"


@dataclass(frozen=True)
class Unwritten:
    """A function of this assignment that is still a stub.

    file: the package and the file, "a01_transformer/attention.py".
    function: its qualified name, "MultiHeadAttention.forward".
    step: where the handout asks for it, "attention, step 2". Empty if the stub does not say.

    ValueError if the sentence could not be parsed again.
    """

    file: str
    function: str
    step: str = ""

    def __post_init__(self):
        _require_place(self.file, self.function)
        if _STEP_END in self.step:
            raise ValueError(f"a step of the handout holds no {_STEP_END!r}; got {self.step[:80]!r}")
        _require_short_line(str(self))

    def __str__(self) -> str:
        sentence = f"{self.file}: {self.function}{_YOURS}"
        return f"{sentence} {_STEP}{self.step}{_STEP_END}" if self.step else sentence

    def lies_in(self, package: str, part: str) -> bool:
        """Whether the function is the part, or stands inside it. part: the module and the name, "attention.causal_mask"."""
        module, _, name = part.partition(".")
        return self.file == f"{package}/{module}.py" and f"{self.function}.".startswith(f"{name}.")


@dataclass(frozen=True)
class EarlierWork:
    """A function that an earlier assignment asks for. file, function: as in `Unwritten`, of that assignment.

    ValueError if the sentence could not be parsed again.
    """

    file: str
    function: str

    def __post_init__(self):
        _require_place(self.file, self.function)
        _require_short_line(str(self))

    def __str__(self) -> str:
        return f"{self.file}: {self.function}{_EARLIER}{self.file.partition('_')[0]}{_WAY_OUT}"


@dataclass(frozen=True)
class OpenQuestion:
    """A question of by_hand.toml without an answer. key: its name. ValueError if the sentence could not be parsed again."""

    key: str

    def __post_init__(self):
        _require_short_line(str(self))

    def __str__(self) -> str:
        return f"{_QUESTION}{self.key}{_OPEN}"

    def lies_in(self, package: str, part: str) -> bool:
        """Whether the question belongs to the part: all of them belong to "by_hand"."""
        return part == "by_hand"


Sentence = Unwritten | EarlierWork | OpenQuestion


def parse(message: str) -> Sentence | None:
    """The sentence that `message` is. None if it is any other text."""
    if len(message) > MAX_LENGTH:
        return None
    place, _, rest = message.partition(": ")
    try:
        if message.startswith(_QUESTION):
            sentence: Sentence = OpenQuestion(message.removeprefix(_QUESTION).removesuffix(_OPEN))
        elif rest.endswith(_WAY_OUT):
            sentence = EarlierWork(place, rest.partition(_EARLIER)[0])
        else:
            sentence = Unwritten(place, rest.partition(_YOURS)[0], handout_step(rest) or "")
    except ValueError:
        return None
    return sentence if str(sentence) == message else None


def parse_todo(message: str) -> Unwritten | OpenQuestion | None:
    """The sentence about work of this assignment that `message` is. None if it is any other text."""
    sentence = parse(message)
    return None if isinstance(sentence, EarlierWork) else sentence


def handout_step(text: str) -> str | None:
    """The step that a sentence or a TODO names: "rope, step 2" of "(handout: rope, step 2)". None if it names none."""
    _, start, rest = text.partition(_STEP)
    step, end, _ = rest.partition(_STEP_END)
    return step if start and end else None


def _require_place(file: str, function: str) -> None:
    package, _, name = file.partition("/")
    if not package.isidentifier() or not name.endswith(".py") or not name.removesuffix(".py").isidentifier():
        raise ValueError(f"a file is named with its package, as in a01_transformer/attention.py; got {file[:80]!r}")
    if not all(part.isidentifier() for part in function.split(".")):
        raise ValueError(f"a function has a qualified name, as in MultiHeadAttention.forward; got {function[:80]!r}")


def _require_short_line(sentence: str) -> None:
    if len(sentence) > MAX_LENGTH or not sentence.isprintable():
        raise ValueError(f"a sentence is one line of at most {MAX_LENGTH:,} printable characters; got {sentence[:80]!r}")
