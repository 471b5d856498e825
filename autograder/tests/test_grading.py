"""The whole path on the toy course: right code, no code, wrong code, and code that tries to break the grader."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import psutil
import pytest

import autograder
from autograder.sandbox import jail
from autograder.tests.toy_course import course_copy, wait_for_worker

SCHEMA = json.loads((Path(autograder.__file__).parent / "report" / "schema" / "report.schema.json").read_text())
IDS = ["test_sums.py::test_value", "test_sums.py::test_speed", "test_sums.py::test_memory", "test_sums.py::test_mean"]


def complete(graded) -> None:
    """The report is valid and has a row for each check of the manifest, whatever happened."""
    jsonschema.validate(graded.report, SCHEMA)
    assert graded.report["manifest"] == IDS
    assert [c["id"] for c in graded.report["checks"]] == IDS


def test_reference_gets_all_points(toy):
    graded = toy.grade(toy.root / "reference" / "a90_toy", of_its_own=True)
    complete(graded)
    assert (graded.status, graded.report["score"]) == (0, 100), graded.stdout


def test_stubs_get_nothing_and_a_first_step(toy):
    graded = toy.grade(toy.root / "assignments" / "a90_toy", of_its_own=True)
    complete(graded)
    assert (graded.status, graded.report["score"]) == (1, 0)
    assert {c["reason"] for c in graded.report["checks"]} == {"todo"}
    assert "Next: open assignments/a90_toy/sums.py and write weighted" in graded.stdout


def test_a_known_mistake_is_named_and_costs_its_own_points_alone(toy, tmp_path):
    graded = toy.grade(toy.submission(tmp_path / "s", weighted="return -(w * x).sum(dim=-1)"))
    complete(graded)
    value, mean = graded.check("test_value"), graded.check("test_mean")
    assert value["misconception"] == "sign_turned"
    assert "The sum has the wrong sign. Which sign" in value["hint"] and "pitfall 1" in value["hint"]
    assert mean["status"] == "passed" and mean["given"] == ["sums.weighted"]
    assert "judged with the given sums.weighted in place of yours" in graded.stdout
    assert graded.report["score"] == 40


@pytest.mark.slow
def test_an_unknown_mistake_shows_where_it_differs(toy, tmp_path):
    graded = toy.grade(
        toy.submission(tmp_path / "s", weighted="out = x @ w; return torch.cat([out[:1], out[1:] * 1.5])"), "--only", "value"
    )
    row = graded.report["checks"][0]
    assert row["hint"] == "" and row["message"].startswith("out[1, 0] is the first value that differs: got")
    assert "3 of 6 values are off, all at 1 of axis 0 (of 2)" in row["message"]


@pytest.mark.slow
@pytest.mark.parametrize(("body", "check", "reason", "words"), [
    ("return None", "test_value", "raised", "a tensor was expected as the result, got NoneType"),
    ("return (x @ w) * float('nan')", "test_value", "nonfinite", "is NaN"),
    ("return (x @ w).unsqueeze(0)", "test_value", "shape", "out has shape (1, 2, 3), expected (2, 3)"),
    ("return (x @ w).double()", "test_value", "dtype", "out is float64, expected float32"),
    ("return (x @ w).detach()", "test_value", "no gradient", "no gradient reaches input 0"),
    ("return (x.detach() @ w)", "test_value", "no gradient", "no gradient reaches input 0"),
    ("return [x @ w]", "test_value", "raised", "a tensor was expected as the result, got list"),
    ("return undefined", "test_value", "raised", "NameError"),
    ("import os; os._exit(0)", "test_value", "died", "exit status 0"),
    ("raise SystemExit(0)", "test_value", "died", "exit(0)"),
    ("raise KeyboardInterrupt", "test_value", "raised", "KeyboardInterrupt"),
    ("import ctypes; ctypes.string_at(0)", "test_value", "died", "SIGSEGV"),
    ("import os; os.kill(os.getpid(), 37)", "test_value", "died", "signal 37"),
    ("return bytearray(10**11)", "test_value", "memory", "more than 512 MB"),
    ("return torch.empty(10**11)", "test_value", "memory", "more than 512 MB"),
    ("return torch.nn.GELU()(x) @ w", "test_value", "forbidden", "calls gelu, which is yours to write"),
    ("return getattr(torch.ops.aten, 'ge' + 'lu')(x) @ w", "test_value", "forbidden", "calls gelu"),
    ("return eval('torch.nn.functional.gelu(x)') @ w", "test_value", "forbidden", "calls gelu"),
    ("return torch.nn.init.trunc_normal_(x.detach()) @ w", "test_value", "forbidden", "calls trunc_normal_, which"),
    ("import pytest; pytest.skip('not today')", "test_value", "raised", "Skipped"),
    ("return (x @ w).to_sparse()", "test_value", "type", "sparse"),
])  # fmt: skip
def test_each_failure_has_its_own_plain_message(toy, tmp_path, body, check, reason, words):
    graded = toy.grade(toy.submission(tmp_path / "s", weighted=body), "--only", check)
    assert graded.status == 1
    row = graded.check(check)
    assert (row["status"], row["reason"]) == ("failed", reason), row
    assert words in row["message"]


@pytest.mark.slow
def test_overwriting_an_argument_is_told(toy, tmp_path):
    graded = toy.grade(
        toy.submission(tmp_path / "s", mean="out = weighted(x, w) / x.shape[-1]; w.add_(0.25).sub_(0.25 - 1e-3); return out"),
        "--only",
        "mean",
    )
    assert graded.check("test_mean")["reason"] == "input"


@pytest.mark.slow
@pytest.mark.parametrize("head", ["import os; os._exit(0)", "def broken(:", "import no_such_library", "\x00", "x = '\udc80'"])
def test_a_module_that_cannot_be_imported_loses_its_checks_and_nothing_else(toy, tmp_path, head):
    folder = toy.submission(tmp_path / "s")
    source = (folder / "sums.py").read_text()
    (folder / "sums.py").write_bytes(head.encode("utf-8", "surrogateescape") + b"\n" + source.encode())
    graded = toy.grade(folder)
    complete(graded)
    assert (graded.status, graded.report["score"]) == (1, 0)
    expected = {
        "import os; os._exit(0)": "exit status 0",
        "def broken(:": "SyntaxError",
        "import no_such_library": "'no_such_library' does not exist in the grading environment",
        "\x00": "null bytes",
        "x = '\udc80'": "SyntaxError",
    }[head]
    assert expected in graded.check("test_value")["message"]


@pytest.mark.slow
def test_what_never_ends_is_stopped_at_the_deadline(toy, tmp_path):
    head = "import signal, time\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True:\n    time.sleep(1)"
    graded = toy.grade(toy.submission(tmp_path / "s", head=head), "--only", "value")
    row = graded.check("test_value")
    assert row["reason"] == "timeout" and "No answer after 5 s" in row["message"]


FLOOD = "print('before \\x1b[2J after')\nprint('y' * 10**8)"  # the beginning is kept, and the end
UNGUARDED = "import autograder.text\nautograder.text.sanitize = lambda text, kept='': text"


@pytest.mark.slow
def test_a_flood_of_output_is_cut_and_its_escapes_are_shown_harmless(toy, tmp_path):
    folder = toy.submission(tmp_path / "s", head=FLOOD, weighted="return (x @ w) * 2")
    graded = toy.grade(folder, "--only", "value")
    row = graded.check("test_value")
    assert (row["status"], row["reason"]) == ("failed", "value")  # judged by what it returns, not by what it prints
    assert "before �[2J after" in row["output"] and "before �[2J after" in graded.stdout
    assert len(graded.stdout) < 10_000 and "\x1b" not in graded.stdout + row["output"]


@pytest.mark.slow
def test_without_the_guard_the_escape_of_the_flood_reaches_the_terminal(toy, tmp_path):
    folder = toy.submission(tmp_path / "s", head=FLOOD, weighted="return (x @ w) * 2")
    graded = toy.grade(folder, "--only", "value", altered=UNGUARDED)
    assert "before \x1b[2J after" in graded.check("test_value")["output"]
    assert "\x1b" in graded.stdout  # so the test above can fail


PRINTS = "print('seen', tuple(x.shape), end=''); "


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "check", "reason"), [
    ("return (x @ w) * 2", "value", "value"),
    ("raise ValueError", "value", "raised"),
    ("os._exit(3)", "value", "died"),
    ("os.kill(os.getpid(), 9)", "value", "died"),
    ("time.sleep(1000)", "value", "timeout"),
    ("return (x @ w) * 2", "speed", "value"),  # in steps that are timed
    ("raise ValueError", "speed", "raised"),
    ("time.sleep(1000)", "memory", "timeout"),  # in steps that are not
])  # fmt: skip
def test_what_code_prints_is_shown_however_it_ends(toy, tmp_path, ending, check, reason):
    """In the report on a terminal and in the JSON report, from which page and Gradescope are made."""
    graded = toy.grade(toy.submission(tmp_path / "s", head="import os, time", weighted=PRINTS + ending), "--only", check)
    row = graded.check(f"test_{check}")
    shape = {"value": "(2, 3, 5)", "speed": "(300, 300)", "memory": "(100, 5)"}[check]
    assert (row["reason"], row["output"][: len(shape) + 5]) == (reason, f"seen {shape}")
    assert f"It printed:\n          seen {shape}" in graded.stdout


@pytest.mark.slow
def test_a_warning_is_shown_with_the_place_that_it_comes_from(toy, tmp_path):
    warns = "import warnings; warnings.warn('look here'); return (x @ w) * 2"
    row = toy.grade(toy.submission(tmp_path / "s", weighted=warns), "--only", "value").check("test_value")
    assert row["output"].startswith("a90_toy/sums.py:5: UserWarning: look here")


@pytest.mark.slow
def test_what_every_check_prints_stands_in_the_report_once(toy, tmp_path):
    graded = toy.grade(toy.submission(tmp_path / "s", head="print('imported')", weighted="return (x @ w) * 2"))
    assert [check["output"] for check in graded.report["checks"]] == ["imported\n"] * 4
    assert graded.stdout.count("imported") == 1 and "It printed (the same in 3 other checks):" in graded.stdout


@pytest.mark.slow
def test_a_second_run_shows_what_it_printed_and_nothing_of_the_first_one(toy, tmp_path):
    """test_mean passes with the given part in place of the student's, which prints nothing."""
    bodies = {"weighted": "print('mine'); return (x @ w) * 2", "mean": "print('mean'); return weighted(x, w) / x.shape[-1]"}
    graded = toy.grade(toy.submission(tmp_path / "s", **bodies), "--only", "value or mean")
    assert graded.check("test_mean")["given"] == ["sums.weighted"]
    assert graded.check("test_mean")["output"] == "mean\nmean\n" and graded.check("test_value")["output"] == "mine\n"
    assert "mean\n" not in graded.stdout.split("It printed")[1] and "ARGS=-v shows it" in graded.stdout
    loud = toy.grade(tmp_path / "s", "--only", "value or mean", "-v")
    assert "mean\n          mean" in loud.stdout and "ARGS=-v" not in loud.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("looping", "options", "timeouts", "score"),
    [("weighted", (), 1, 40), ("weighted", ("--try-all",), 3, 40), ("weighted", ("--only", "speed"), 1, 0), ("mean", (), 1, 60)],
)
def test_an_endless_loop_costs_one_time_limit(toy, tmp_path, looping, options, timeouts, score):
    """What needs the part is judged with the given one."""
    graded = toy.grade(toy.submission(tmp_path / "s", **{looping: "while True: pass"}), *options)
    reasons = [check["reason"] for check in graded.report["checks"]]
    assert (reasons.count("timeout"), graded.report["score"]) == (timeouts, score)
    if looping == "weighted" and not options:
        assert reasons == ["timeout", "not tried", "not tried", ""]
        assert graded.check("test_mean")["given"] == ["sums.weighted"]
        assert "because test_value of this part ran into its time limit" in graded.stdout
        assert "Next: fix sums.weighted (check 1.1)" in graded.stdout


@pytest.mark.slow
def test_killing_the_server_gains_nothing_and_the_rest_is_graded(toy, tmp_path):
    graded = toy.grade(
        toy.submission(
            tmp_path / "s", weighted="import os; os.kill(os.getppid(), 9); return x @ w", mean="return (x * w).mean(-1)"
        )
    )
    complete(graded)
    assert graded.check("test_value")["status"] == "failed"
    assert not [c for c in graded.report["checks"] if c["status"] == "grader_fault"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "head",
    [
        "import os\nos.kill(os.getppid(), 9)",  # in every worker, so that every server dies
        "import numpy as np\nnp.random.RandomState.standard_normal = lambda *_: np.zeros(64)",
        "import autograder.check.draw\nautograder.check.draw.stream_digest = lambda: 'x'",
        "import autograder.sandbox.worker\nautograder.sandbox.worker.serialize = lambda *_: b''",
    ],
)
def test_no_submission_can_make_its_failure_look_like_the_graders(toy, tmp_path, head):
    graded = toy.grade(toy.submission(tmp_path / "s", head=head, weighted="return None", mean="return None"))
    complete(graded)
    assert (graded.status, graded.report["score"]) == (1, 0), graded.stdout
    assert {c["status"] for c in graded.report["checks"]} <= {"failed", "not_attempted"}


FORGED = """
    import os, sys
    from autograder.observation.serialization import serialize
    from autograder.sandbox.framing import write_frame

    draw, out = sys._getframe(1).f_locals["draw"], (x @ w) * {factor}
    observation = {{"out": out, "grad": draw.backward(out)}}
    frame = b"S" + serialize({{"observation": observation, "inputs": draw.input_digests()}})
    for fd in range(3, 30):
        try:
            write_frame(fd, frame)
        except OSError:
            pass
    os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "status", "reason"), [(2, "failed", "value"), (1, "passed", "")])
def test_a_forged_result_is_compared_like_any_other(toy, tmp_path, factor, status, reason):
    """The frame is well formed. With the right values it passes, so a wrong one is refused for its values alone."""
    graded = toy.grade(toy.submission(tmp_path / "s", weighted=FORGED.format(factor=factor)), "--only", "value")
    row = graded.check("test_value")
    assert (row["status"], row["reason"]) == (status, reason), row["message"]


@pytest.mark.slow
def test_what_is_no_submission_is_refused_with_a_reason(toy, tmp_path):
    (tmp_path / "file").write_text("")
    for arguments, words in [
        (("grade", "a77"), "there is no assignment 'a77'; there are a90"),
        (("grade", "a90", "--from", str(tmp_path / "file")), "is not a folder"),
        (("grade", "a90", "--from", str(tmp_path / "nowhere")), "is not a folder"),
        (("grade", "a90", "--device", "mps"), "there is no such device here"),
        (("grade", "a90", "--device", "tpu"), "--device is cpu, cuda or mps"),
        (("grade", "a90", "--only", "nothing_like_this"), "no check of a90 fits"),
        (("grade", "a90", "--only", "(("), "is no expression"),
    ]:
        done = toy.run(*arguments)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nothing", "folder", "huge", "link", "fifo"])
def test_a_deliverable_that_is_no_plain_file_is_named(toy, tmp_path, kind):
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "by_the_way.py").write_text("")
    target = folder / "sums.py"
    if kind == "folder":
        target.mkdir()
    elif kind == "huge":
        with target.open("wb") as file:
            file.truncate(1 << 30)
    elif kind == "link":
        target.symlink_to(toy.root / "reference" / "a90_toy" / "sums.py")
    elif kind == "fifo":
        os.mkfifo(target)
    graded = toy.grade(folder)
    complete(graded)
    assert (graded.status, graded.report["score"]) == (2, 0)
    why = {"huge": "it has 1,073,741,824 bytes", "nothing": "the file is missing"}.get(kind, "it is not a regular file")
    assert why in graded.check("test_value")["message"] and why in graded.stdout
    assert "this folder holds none of the files of a90: sums.py" in graded.report["notes"][0]


@pytest.mark.slow
def test_ctrl_c_gives_a_partial_report_and_leaves_no_process(toy, tmp_path):
    with course_copy(toy.root, tmp_path / "course", seconds=1000) as course:
        folder = course.submission(tmp_path / "s", mean="open('started', 'w')\n    while True: pass")
        target = tmp_path / "report.json"
        process = subprocess.Popen(
            [sys.executable, "-m", "autograder", "grade", "a90", "--from", str(folder), "--json", str(target)],
            env=course.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        family = wait_for_worker(process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    report = json.loads(target.read_text())
    assert process.returncode == 1, err
    assert report["interrupted"] and report["manifest"] == IDS
    assert "interrupted" in out and "Traceback" not in err
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive


CAN_HIDE = jail.detect_isolation().level >= 3 or jail.detect_isolation().landlock
UNCONFINED = "from autograder.sandbox import jail\njail.detect_isolation = lambda: jail.Jail(0, False)"


@pytest.mark.slow
@pytest.mark.skipif(not CAN_HIDE, reason=f"needs a user of its own or Landlock: {jail.detect_isolation().notes}")
@pytest.mark.parametrize(("altered", "reaches_it"), [("", False), (UNCONFINED, True)], ids=["confined", "not confined"])
def test_grading_leaves_the_folder_as_it_was(toy, tmp_path, altered, reaches_it):
    """The submission knows where its folder lies. Outside of the sandbox it does write there, so the test can fail."""
    (tmp_path / "s").mkdir()
    head = f"try:\n    open({str(tmp_path / 's/sums.py')!r}, 'w').write('gone')\nexcept OSError:\n    pass"
    folder = toy.submission(tmp_path / "s", head=head)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    graded = toy.grade(folder, "--only", "value", altered=altered)
    assert graded.check("test_value")["status"] == "passed"  # it did get as far as its functions
    assert ({p.name: p.read_bytes() for p in folder.iterdir()} != before) is reaches_it


@pytest.mark.slow
def test_extra_files_are_not_read_and_are_named(toy, tmp_path):
    folder = toy.submission(tmp_path / "s")
    for name in ("conftest.py", "pytest.ini", "torch.py", "sitecustomize.py"):
        (folder / name).write_text("raise SystemExit('owned')")
    graded = toy.grade(folder)
    assert graded.report["score"] == 100
    assert "conftest.py, pytest.ini" in graded.report["notes"][0]


@pytest.mark.slow
def test_a_missing_golden_value_is_the_graders_fault_and_costs_nothing(toy, tmp_path):
    with course_copy(toy.root, tmp_path / "course") as course:
        (course.root / "assignments/a90_toy/tests/golden/test_sums.json").unlink()
        graded = course.grade(course.submission(tmp_path / "s", weighted="return None"), of_its_own=True)
    complete(graded)
    assert graded.status == 3
    assert graded.report["score"] == 100 and {c["status"] for c in graded.report["checks"]} == {"grader_fault"}
    assert "fault of the grader, not of your code" in graded.stdout


@pytest.mark.slow
def test_golden_values_are_the_same_bytes_twice(toy, tmp_path):
    with course_copy(toy.root, tmp_path / "course") as course:
        folder = course.root / "assignments/a90_toy/tests/golden"
        before = {p.name: p.read_bytes() for p in folder.iterdir()}
        shutil.rmtree(folder)
        assert course.run("golden", "a90", module="tools").returncode == 0
        assert before and {p.name: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.slow
def test_verify_finds_what_is_planted(toy, tmp_path):
    extra = tmp_path / "extra"
    (extra / "submissions").mkdir(parents=True)
    toy.submission(extra / "submissions" / "half", mean="return weighted(x, w)")
    (extra / "submissions" / "half" / "expect.toml").write_text("min_score = 60\nmax_score = 60\n")
    (extra / "alternates.py").write_text(
        "from tools.author.cases import alternate\n\n\n@alternate('sums.mean')\ndef halved(x, w):\n"
        "    '''Wrong, though it is called an alternate.'''\n    return weighted(x, w) / 2\n"
    )
    (extra / "misconceptions").mkdir()
    (extra / "misconceptions" / "sums.py").write_text(
        "from tools.author.cases import misconception\n\n\n@misconception('sums.mean')\ndef undivided(x, w):\n"
        "    '''The sum is not divided.'''\n    return weighted(x, w)\n"
    )
    done = toy.run("verify", "a90", "--quick", "--extra", str(extra), "--json", str(tmp_path / "v.json"), module="tools")
    result = json.loads((tmp_path / "v.json").read_text())["a90"]
    assert result["reference"]["score"] == 100 and result["stubs"] == 0
    assert result["misconceptions"][0]["named_by"]
    scores = {e["case"]: e["score"] for e in result["extra"]}
    assert scores == {"misconception undivided": 60, "alternate halved": 60, "submission half": 60}
    assert any("extra alternate halved gets 60.0" in p for p in result["problems"]) and done.returncode == 1
