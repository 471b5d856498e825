"""The reference and every other version of it, each in a tree of its own, and how to run checks on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autograder.assignment import Assignment
from autograder.running import Runner
from autograder.sandbox.jail import reserve_user
from autograder.sandbox.server_handle import Server
from autograder.session import scratch_space
from autograder.submission.working_copy import Tree, working_copy
from tools.author.cases import Case, load_cases
from tools.author.replace_definition import replace_definition as overlay


def cases_of(assignment: Assignment, kind: str) -> list[Case]:
    """All cases of a kind, "misconceptions" or "alternates"; modules come in the order in which students meet them."""
    folder = assignment.reference / kind
    cases = load_cases(folder) if folder.exists() else []
    return sorted(cases, key=lambda case: assignment.deliverables.index(f"{case.module}.py"))


@dataclass(frozen=True)
class ReferenceRuns:
    """The trees that golden and verify run on, and how to run on them."""

    assignment: Assignment
    run: Runner
    reference: Tree
    scratch: Path

    @property
    def source(self) -> Path:
        return self.assignment.reference

    def cases(self, kind: str) -> list[Case]:
        """kind: "misconceptions" or "alternates"."""
        return cases_of(self.assignment, kind)

    def tree_of(self, case: Case) -> Tree:
        """The reference with one definition replaced, in a tree of its own."""
        name = f"{case.module}.py"
        text = overlay((self.reference.folder / name).read_text(encoding="utf-8"), case.qualname, case)
        return self.tree_with(case.name, name, text)

    def tree_with(self, label: str, name: str, text: str) -> Tree:
        into = self.scratch / "trees" / label
        return Tree(into, into / self.assignment.package) if into.exists() else self.reference.with_file(into, name, text)


@contextmanager
def reference_runs(assignment: Assignment, seed: int = 0) -> Iterator[ReferenceRuns]:
    """Server, scratch folders and a working copy of the reference."""
    with scratch_space() as scratch, Server(assignment.preload, warm_for_batch=True) as server, reserve_user() as jail:
        tree = working_copy(assignment.reference, assignment, scratch / "reference")
        runner = Runner(server, assignment, scratch / "cwd", tree.baseline(scratch / "baseline"), jail, seed=seed)
        yield ReferenceRuns(assignment, runner, tree, scratch)
