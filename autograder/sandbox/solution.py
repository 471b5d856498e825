"""The submission as a check sees it."""

import importlib
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

from autograder.source.stub_text import OpenQuestion


class Solution:
    """The package under test: `solution.rope.rotate` imports the module `rope` when it is asked for.

    package: name of the package.
    folder: where its files lie.
    """

    def __init__(self, package: str, folder: str):
        self._package, self._folder = package, Path(folder)

    def __getattr__(self, module: str) -> ModuleType:
        return importlib.import_module(f"{self._package}.{module}")

    @property
    def by_hand(self) -> dict[str, Any]:
        """The answers in `by_hand.toml`. A question that is still open raises NotImplementedError, as a stub does.

        ValueError: the file cannot be read.
        """
        path = self._folder / "by_hand.toml"
        try:
            answers = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise ValueError(f"by_hand.toml cannot be read: {error}") from None
        return _Answers(answers)


class _Answers(dict[str, Any]):
    def __getitem__(self, question: str) -> Any:
        if not self.get(question):
            raise NotImplementedError(str(OpenQuestion(question)))
        return super().__getitem__(question)
