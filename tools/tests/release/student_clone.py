"""A student's clone of the real release, in which nothing but the release can be imported.

It is written without the scanner, which takes longer than all the rest; `test_release.py` has a scanned one.
"""

import shutil
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from autograder.assignment import Course
from autograder.submission.update import MANIFEST, Manifest
from tools.release.release import contents

HERE = Course.here()


@dataclass(frozen=True)
class Clone:
    """A release in a folder of its own, with an environment that holds its packages and no path to the course."""

    root: Path

    @classmethod
    def make(cls, root: Path, with_solutions: bool = True) -> "Clone":
        """Write the release of all assignments, and put the reference's deliverables in."""
        assignments = [HERE.load(name) for name in HERE.known()]
        files, yours = contents(assignments)
        files[MANIFEST] = Manifest.of(files, yours).dumps()
        for name, data in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for one in assignments if with_solutions else ():
            for name in one.deliverables:
                shutil.copy(one.reference / name, root / "assignments" / one.package / name)
        environment(root)
        return cls(root)

    def course(self) -> Course:
        """The course as the clone has it."""
        return Course(self.root)

    def surroundings(self) -> dict[str, str]:
        """All environment variables of a command: those of an active environment. Whoever asks the network gets no answer."""
        home = self.root.parent / "home"
        home.mkdir(exist_ok=True)
        path = f"{self.root / '.venv' / 'bin'}:/usr/local/bin:/usr/bin:/bin"
        none = dict.fromkeys(["http_proxy", "https_proxy"], "http://127.0.0.1:9")
        return {"PATH": path, "HOME": str(home), "NO_COLOR": "1", "LC_ALL": "C.UTF-8", **none}

    def run(self, *command: str, seconds: float = 600, cwd: Path | None = None) -> subprocess.CompletedProcess:
        """Run a command in the root of the clone."""
        return subprocess.run(
            command,
            cwd=cwd or self.root,
            env=self.surroundings(),
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )


def environment(folder: Path) -> None:
    """What `make setup` makes, without its minute: the packages of this environment, and the release's own folders.

    The folder of packages is a plain entry of the path. So the files in it that would make the course importable are not read.
    """
    venv.create(folder / ".venv", with_pip=False, symlinks=True)
    site = sysconfig.get_path("purelib", vars={"base": str(folder / ".venv")})
    paths = [sysconfig.get_path("purelib"), folder, folder / "assignments", folder / "datasets"]
    (Path(site) / "course.pth").write_text("".join(f"{path}\n" for path in paths))
    for script in entry_points(group="console_scripts"):
        if script.name in ("pytest", "torchrun"):
            path = folder / ".venv" / "bin" / script.name
            call = f"import sys\nfrom {script.module} import {script.attr}\nsys.exit({script.attr}())\n"
            path.write_text(f"#!{folder}/.venv/bin/python\n{call}")
            path.chmod(0o755)
    (folder / ".venv" / ".done").touch()
