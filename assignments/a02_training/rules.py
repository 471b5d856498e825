"""Is it a tale? The rules of the corpus `tales`, read off its texts, so that samples can be judged and their faults be named.

A tale has four sentences; words come from lists, and what comes later has to agree with what was said. Given, not graded.
"""

import re
from collections.abc import Iterable

_SENTENCES = [
    re.compile(sentence)
    for sentence in (
        r"(?P<hero>\w+)(?P<gets> \w+ a )(?P<quality>\w+) (?P<thing>\w+)",
        r"(?P<subject>\w+)(?P<meets> \w+ )(?P<friend>\w+)(?P<where> \w+ the )(?P<place>\w+)",
        r"(?P<actor>\w+) (?:wanted the (?P<wanted>\w+), so (?P<giver>\w+) gave it to (?P<object>\w+)"
        r"|hid the (?P<hidden>\w+) in a (?P<spot>\w+), but (?P<finder>\w+) found it"
        r"|broke the (?P<broken>\w+), so (?P<mender>\w+) used (?P<tool>\w+))",
        r"Now (?P<owner>\w+) has the (?P<quality2>\w+) (?P<thing2>\w+)"
        r"|So (?P<feeler>\w+) was (?P<feeling>\w+)"
        r"|They left the (?P<place2>\w+) (?P<feeling2>\w+)",
    )
]
_LISTS = {  # the words of these parts come from one list each
    "hero": "name", "friend": "name", "gets": "gets", "quality": "quality", "thing": "thing", "meets": "meets", "where": "where",
    "place": "place", "spot": "spot", "tool": "tool", "feeling": "feeling", "feeling2": "feeling",
}  # fmt: skip


class Rules:
    """The rules with the words of these texts; a name is known once somebody of that name comes first in a tale.

    ValueError if one of the texts has not the shape of a tale.
    """

    def __init__(self, tales: Iterable[str]):
        self.words: dict[str, set[str]] = {name: set() for name in _LISTS.values()}
        self.pronouns: dict[str, str] = {}  # of each name: "He" or "She"
        for tale in tales:
            part = _parts(tale)
            if isinstance(part, str):
                raise ValueError(f"this is no tale: {part} in {tale!r}")
            for group, name in _LISTS.items():
                if group in part and group != "friend":
                    self.words[name].add(part[group])
            self.pronouns[part["hero"]] = part["subject"]

    def fault(self, text: str) -> str:
        """What is wrong with a text, in a few words; "" for a tale. A tale ends with a new line."""
        part = _parts(text)
        if isinstance(part, str):
            return part
        for group, name in _LISTS.items():
            if group in part and part[group] not in self.words[name]:
                return f"unknown {name}: {part[group].strip()}"
        hero, friend, thing = part["hero"], part["friend"], part["thing"]
        if friend == hero:
            return f"{hero} meets {hero}"
        agree = {  # what has to be what
            "subject": self.pronouns[hero],
            "actor": friend,
            "object": "him" if self.pronouns[friend] == "He" else "her",
            **dict.fromkeys(("wanted", "hidden", "broken", "thing2"), thing),
            **dict.fromkeys(("giver", "finder", "mender"), hero),
            **dict.fromkeys(("owner", "feeler"), friend if "wanted" in part else hero),
            "quality2": part["quality"],
            "place2": part["place"],
        }
        wrong = [f"{part[group]} should be {word}" for group, word in agree.items() if group in part and part[group] != word]
        return ", ".join(wrong)


def _parts(text: str) -> dict[str, str] | str:
    """The words of a tale by what they are in it; or what is wrong with its shape."""
    if not text.endswith(".\n"):
        return "it does not end with a full stop"
    sentences = text.removesuffix(".\n").split(". ")
    if len(sentences) != len(_SENTENCES):
        return f"{len(sentences)} sentences instead of {len(_SENTENCES)}"
    found = {}
    for number, (shape, sentence) in enumerate(zip(_SENTENCES, sentences, strict=True), 1):
        match = shape.fullmatch(sentence)
        if match is None:
            return f"sentence {number} has no known shape: {sentence}"
        found |= {group: word for group, word in match.groupdict().items() if word is not None}
    return found
