"""The commands in the README files of a release, and what can be said of one without running it."""

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from typer.testing import CliRunner

from autograder.check.collecting import collect
from autograder.cli import app
from autograder.errors import BadInput
from tools.tests.release.student_clone import Clone

_WORDS = "make|python|pytest|torchrun|source|jupytext|jupyter|pip|git|bash"
_LINE = re.compile(rf"^(?: {{4,}})?((?:{_WORDS})\b.*?)(?: {{2,}}.*)?$")  # two blanks stand before what the command does
_INLINE = re.compile(rf"`((?:{_WORDS})(?: [^`]*)?)`")


def commands(text: str) -> Iterator[str]:
    """The commands in a README file, each once: lines that are indented or fenced, and what stands between backquotes.

    What holds "…" is no command, but the shape of one.
    """
    found, fenced = [], False
    for line in text.splitlines():
        fenced ^= line.lstrip().startswith("```")
        if (fenced or line.startswith("    ")) and (match := _LINE.match(line if fenced else f"    {line.strip()}")):
            found.append(match[1])
        found += _INLINE.findall(line)
    yield from (command for command in dict.fromkeys(found) if "…" not in command)


def readmes(clone: Clone) -> dict[str, Path]:
    """The README files of a clone: "README", and one for each assignment by its name, as in "a01"."""
    handouts = {name: folder / "README.md" for name, folder in clone.course().known().items()}
    return {"README": clone.root / "README.md", **handouts}


def faults(clone: Clone, command: str) -> Iterator[str]:
    """What is wrong with a command, as far as can be told without running it."""
    program, *words = shlex.split(command)
    if program == "make":
        given = dict(word.split("=", 1) for word in words if "=" in word)
        goals = [word for word in words if "=" not in word]
        yield from make_faults(clone, goals, given)
    elif program in ("pytest", "source"):
        yield from (f"there is no {word}" for word in words if "/" in word and not (clone.root / word).exists())
    elif program in ("python", "torchrun"):
        module = words[words.index("-m") + 1].replace(".", "/")
        if not (clone.root / "assignments" / f"{module}.py").is_file():
            yield f"there is no {module}.py"
    else:
        yield f"{program} is no command of the course"


def make_faults(clone: Clone, goals: list[str], given: dict[str, str]) -> Iterator[str]:
    """The same for targets and variables of make."""
    targets = set(re.findall(r"^([a-z]+):", (clone.root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    yield from (f"there is no target {goal}" for goal in goals if goal not in targets)
    options = shlex.split(given.get("ARGS", "")) + (["--only", given["ONLY"]] if "ONLY" in given else [])
    asked = CliRunner().invoke(app, [*goals, *options, "--help"])  # options are read before help is given
    if goals and asked.exit_code:
        yield asked.stderr
    if "A" in given:
        try:
            assignment = clone.course().load(given["A"])
            collect(assignment, dict(itertools.pairwise(options)).get("--only"), long="--long" in options)
            if given.get("FILE", assignment.deliverables[0]) not in assignment.deliverables:
                yield f"{given['FILE']} is none of its files"
        except BadInput as error:
            yield str(error)
