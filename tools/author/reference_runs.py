"""The reference and every other version of it, each in a tree of its own, and how to run checks on them."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autograder.assignment import Assignment
from autograder.check.check import Check
from autograder.check.inputs import PUBLIC, Inputs
from autograder.grading import grade
from autograder.report.report import Report
from autograder.running import Runner
from autograder.sandbox.server_handle import Server
from autograder.session import workplace
from autograder.submission.working_copy import Tree
from tools.author.cases import Case, load_cases
from tools.author.replace_definition import replace_definition


def cases_of(assignment: Assignment, kind: str) -> list[Case]:
    """The cases of a kind, module by module in the order in which students meet them.

    kind: "misconceptions" or "alternates".
    ValueError: a case is faulty, or stands in a module that is not handed in.
    """
    folder = assignment.reference / kind
    cases = load_cases(folder) if folder.exists() else []
    return sorted(cases, key=lambda case: assignment.deliverables.index(f"{case.module}.py"))


@dataclass(frozen=True)
class ReferenceRuns:
    """The trees that authors' tools run checks on, and how they run them.

    runner: how a check runs.
    reference: the tree of the reference.
    scratch: a folder for other trees.
    """

    assignment: Assignment
    runner: Runner
    reference: Tree
    scratch: Path

    @property
    def source(self) -> Path:
        """The folder of the reference in the repository."""
        return self.assignment.reference

    def cases(self, kind: str) -> list[Case]:
        """The cases of a kind, see `cases_of`."""
        return cases_of(self.assignment, kind)

    def tree_of(self, case: Case, label: str = "") -> Tree:
        """The reference with one definition replaced, in a tree of its own. ValueError if there is no such definition.

        label: of the tree, by default the name of the case. A case from elsewhere may have the name of one that is known.
        """
        name = f"{case.module}.py"
        text = replace_definition((self.reference.folder / name).read_text(encoding="utf-8"), case.qualname, case)
        return self.tree_with(label or case.name, name, text)

    def tree_with(self, label: str, name: str, text: str) -> Tree:
        """The reference with one file replaced, in a tree of its own. A label has one tree: the first that it was used for."""
        into = self.scratch / "trees" / label
        return Tree(into, into / self.assignment.package) if into.exists() else self.reference.with_file(into, name, text)

    def grade(self, tree: Tree, checks: Sequence[Check]) -> Report:
        """The report on a tree, as a submission would get it."""
        scratch = Path(tempfile.mkdtemp(prefix="grade-", dir=self.scratch))
        scratch.chmod(0o711)  # a worker with a user of its own reads trees below it
        return grade(self.runner, tree, list(checks), scratch)


@contextmanager
def reference_runs(assignment: Assignment, inputs: Inputs = PUBLIC) -> Iterator[ReferenceRuns]:
    """A warm server, scratch folders and a working copy of the reference.

    inputs: which inputs checks draw.
    BadInput: the reference of the assignment is not there.
    """
    with (
        Server(assignment.preload, warm_for_batch=True) as server,
        workplace(assignment.reference, assignment, server, inputs=inputs) as place,
    ):
        yield ReferenceRuns(assignment, place.runner, place.tree, place.scratch)
