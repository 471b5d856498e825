"""Every trick of `attacks.py` gains nothing, breaks nothing, carries nothing out, and is over in time.

All are graded one after another on one warm server as root, with an honest submission after each; a line is printed per row.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import jsonschema
import pytest

import autograder
from autograder.sandbox import jail
from autograder.tests.sandbox.attacks import ATTACKS, DETACHED, HONEST, SLOW, WRONG, source
from autograder.tests.toy_course import course_copy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        jail.detect_isolation().level < 3, reason=f"needs isolation level 3: {'; '.join(jail.detect_isolation().notes)}"
    ),
]
SCHEMAS = {p.name.partition(".")[0]: p for p in Path(autograder.__file__).parent.glob("*/schema/*.json")}
CANARY = "CANARY-5f1d20c8"
SECONDS, SHORT = 3, 1  # of one check, and of one where each check takes all its time
HIDDEN = f'''"""A check that students never see."""

from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import part
from autograder.check import matches_reference

CANARY = "{CANARY}"


@part("sums.weighted")
@weight(10)
@matches_reference
def test_secret(solution, draw):
    """Values of another shape."""
    secret = "{CANARY}"
    x, w = draw.normal(4, 7), draw.normal(7)
    return {{"out": solution.sums.weighted(x, w), "secret": secret}}
'''


BASES = (("wrong", WRONG), ("slow", SLOW), ("detached", DETACHED), ("honest", HONEST))


@pytest.fixture(scope="module")
def course(toy):
    """The toy course, where every user may read it, with secrets in its hidden checks, golden values and folder."""
    with tempfile.TemporaryDirectory() as folder, course_copy(toy.root, Path(folder) / "course", SECONDS) as course:
        root = course.root
        Path(folder).chmod(0o755)
        (root / "reference/a90_toy/hidden").mkdir()
        (root / "reference/a90_toy/hidden/test_hidden.py").write_text(HIDDEN)
        (root / "secret.txt").write_text(CANARY)
        done = course.run("golden", "a90", module="tools")
        assert done.returncode == 0, done.stderr
        assert CANARY in (root / "reference/a90_toy/hidden/golden/test_hidden.json").read_text()
        yield course


@pytest.fixture(scope="module")
def outcomes(course, tmp_path_factory):
    """What became of each row; those that came to no end because the grader itself died are missing."""
    folder = tmp_path_factory.mktemp("attacks")
    paths = {str(i): str(attack.write(folder / f"{i:02d}", course.root)) for i, attack in enumerate(ATTACKS)}
    for name, bodies in BASES:
        (folder / name).mkdir()
        (folder / name / "sums.py").write_text(source(bodies))
        paths[name] = str(folder / name)
    seconds = {name: SECONDS for name in paths} | {str(i): SHORT for i, attack in enumerate(ATTACKS) if attack.hangs}
    before = left_behind()
    done = subprocess.run(
        [sys.executable, "-m", "autograder.tests.sandbox.attack_driver"],
        input=json.dumps({"attacks": paths, "seconds": seconds, "honest": paths["honest"]}),
        env={**course.environment(), "AUTOGRADER_CANARY": CANARY},
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    found = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, done.stderr[-3000:]
    found["left behind"] = left_behind() - before
    return found


def left_behind() -> set[str]:
    """Files of users of submissions anywhere in shared places, and anything called owned or spill.

    What belongs to a grade that runs beside this one is not left behind yet.
    """
    places = [*jail.SHARED, "/autograder/results"]
    paths = [p for place in places if Path(place).is_dir() for p in Path(place).glob("*")]
    found = set()
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            uid = path.lstat().st_uid
            if path.name in ("owned", "spill", "results.json") or (uid in jail.UIDS and not is_held(uid)):
                found.add(str(path))
    return found


def test_the_honest_solution_keeps_all_its_points_under_the_same_jail(outcomes):
    report = outcomes["honest"]["report"]
    assert (report["score"], report["isolation_level"]) == (100, 3), outcomes["honest"]["terminal"]
    assert "hidden/test_hidden.py::test_secret" in report["manifest"]
    assert [outcomes[name]["report"]["score"] for name in ("wrong", "slow")] == [0, pytest.approx(60 * 50 / 70, abs=0.01)]


@pytest.mark.parametrize("row", range(len(ATTACKS)), ids=[f"{a.number}-{a.name}" for a in ATTACKS])
def test_attack(outcomes, row, capsys):
    attack, found = ATTACKS[row], outcomes[str(row)]
    honest = outcomes["honest"]["report"]
    told = [json.dumps(found), found.get("terminal", ""), found.get("html", "")]
    score = found["report"]["score"] if "report" in found else 0.0
    with capsys.disabled():
        said = "refused" if "refused" in found else f"{score:g} points"
        print(f"\n  attack {attack.number:2}  {attack.name:52} {said:>10}  {found['seconds']:5.1f} s", end="")
    alone = outcomes[next(name for name, bodies in BASES if bodies is attack.alone)]["report"]["score"]
    assert score <= alone + 1e-9, found["terminal"]
    if "report" in found:
        for schema, value in (("report", found["report"]), ("results", found["results"])):
            jsonschema.validate(value, json.loads(SCHEMAS[schema].read_text()))
        assert found["report"]["manifest"] == honest["manifest"] == [c["id"] for c in found["report"]["checks"]]
        assert len(found["results"]["tests"]) == len(honest["manifest"])
        assert not [c for c in found["report"]["checks"] if c["status"] == "grader_fault"]
        assert all(c["number"] + " " in found["terminal"] for c in found["report"]["checks"] if c["status"] != "not_graded_here")
        assert all(c["title"] in found["html"] for c in found["report"]["checks"])
    # Every check may use up its time, two at a time and once more with a given part. What comes on top is a matter of the
    # machine, and so is measured by the honest grade beside it.
    assert found["seconds"] <= SECONDS * len(honest["manifest"]) + 10 * max(1, found["next_seconds"])
    assert not [text for text in told if CANARY in text or "REACHED" in text]
    assert "\x1b" not in "".join(told) and "\\u001b" not in told[0] and "\\u202e" not in told[0]
    assert points(found["next"]) == points(honest)


@pytest.mark.parametrize("landlock", [True, False])
def test_without_root_the_level_is_2_and_the_grade_the_same(course, landlock):
    """As the user nobody; where Landlock cannot hide them, hidden checks do not run unless they are forced to."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        (Path(folder) / "in").mkdir()
        (Path(folder) / "in" / "sums.py").write_text(source(HONEST))
        without = "import autograder.sandbox.landlock as l; l.version = lambda: 0; import autograder.sandbox.jail as j; j.landlock.version = l.version\n"
        code = ("" if landlock else without) + "import sys; from autograder.cli import app; app(sys.argv[1:])"
        options = ["grade", "a90", "--from", f"{folder}/in", "--json", f"{folder}/report.json"]
        done = subprocess.run(
            [sys.executable, "-c", code, *options],
            env=course.environment(),
            cwd=folder,
            user=65534,
            group=65534,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        report = json.loads((Path(folder) / "report.json").read_text())
    assert (done.returncode, report["score"], report["isolation_level"]) == (0, 100, 2), done.stderr
    assert ("hidden/test_hidden.py::test_secret" in report["manifest"]) == landlock


def points(report: dict) -> list:
    return [(c["id"], c["status"], c["points"]) for c in report["checks"]]


def test_nothing_is_left_behind(outcomes):
    assert outcomes["left behind"] == set()
    deadline = time.monotonic() + 60
    while (running := {uid for uid in owners() & set(jail.UIDS) if not is_held(uid)}) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running


def is_held(uid: int) -> bool:
    """Whether another grade on this machine has this user at the moment."""
    try:
        with (Path("/run/autograder-users") / str(uid)).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:  # it never was
        return False
    return False


def owners() -> set[int]:
    users = defaultdict(int)
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                users[entry.stat().st_uid] += 1
            except OSError:
                continue
    return set(users)
