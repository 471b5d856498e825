"""A toy course of two functions, on which the whole path is tested for real: processes, files, kills."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

TOY = Path(__file__).with_name("toy")
RIGHT = {"weighted": "return x @ w", "mean": "return weighted(x, w) / x.shape[-1]"}


@dataclass
class Graded:
    """What a grade left behind."""

    status: int
    report: dict | None
    stdout: str
    stderr: str

    def check(self, name: str) -> dict:
        return next(c for c in self.report["checks"] if c["id"].endswith(f"::{name}"))


@dataclass
class Toy:
    """The toy course in a folder of its own."""

    root: Path

    def environment(self) -> dict:
        return {**os.environ, "COURSE_DIR": str(self.root), "NO_COLOR": "1"}

    def run(self, *arguments: str, module: str = "autograder", timeout: float = 120) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=self.root,
        )

    def grade(self, folder: Path, *arguments: str) -> Graded:
        target = folder.with_name(folder.name + ".json")
        target.unlink(missing_ok=True)
        done = self.run("grade", "a90", "--from", str(folder), "--json", str(target), *arguments)
        return Graded(done.returncode, json.loads(target.read_text()) if target.exists() else None, done.stdout, done.stderr)

    def submission(self, folder: Path, head: str = "", **bodies: str) -> Path:
        """A submission whose functions have these bodies; the others are right."""
        folder.mkdir(parents=True, exist_ok=True)
        code = RIGHT | bodies
        (folder / "sums.py").write_text(
            f"import torch\n{head}\n\n" + "\n\n".join(f"def {name}(x, w):\n    {body}\n" for name, body in code.items())
        )
        return folder


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Toy:
    """The toy course with golden values recorded."""
    root = tmp_path_factory.mktemp("course") / "toy"
    shutil.copytree(TOY, root)
    course = Toy(root)
    done = course.run("golden", "a90", module="tools")
    assert done.returncode == 0, done.stderr
    return course
