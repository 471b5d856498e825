"""The jail from inside and outside: what a confined process may do, which user it gets, and that nothing of it stays."""

import contextlib
import json
import os
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.errors import GraderFault
from autograder.sandbox import jail, landlock, seccomp

ROOT_ON_LINUX = pytest.mark.skipif(
    jail.detect_isolation().level < 3, reason=f"needs level 3: {'; '.join(jail.detect_isolation().notes)}"
)
LINUX = pytest.mark.skipif(jail.detect_isolation().level < 2, reason="needs Linux")
ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026


def verdict(program: bytes, number: int, first_argument: int = 0, arch: int | None = None, machine: str = "x86_64") -> int:
    """What the BPF program returns for a system call: an interpreter of the few instructions that it uses."""
    data = {0: number, 4: seccomp._AUDIT[machine] if arch is None else arch, 16: first_argument & 0xFFFFFFFF}
    steps, at, accumulator = list(struct.iter_unpack("HBBI", program)), 0, 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == seccomp._RETURN:
            return value
        if code == seccomp._LOAD:
            accumulator = data[value]
        else:
            holds = {
                seccomp._EQUAL: accumulator == value,
                seccomp._ABOVE: accumulator >= value,
                seccomp._BITS: bool(accumulator & value),
            }
            at += yes if holds[code] else no


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("processes", [True, False])
def test_the_filter_refuses_what_it_lists_on_both_machines(machine, processes):
    program = seccomp.assemble(machine, 1234, processes)
    column = ("x86_64", "aarch64").index(machine)
    judge = lambda numbers, argument=0: verdict(program, numbers[column], argument, machine=machine)
    assert {judge(numbers) for numbers in seccomp.REFUSED.values()} == {EPERM}
    assert judge(seccomp._SOCKET, 1) == ALLOW
    assert {judge(seccomp._SOCKET, family) for family in (2, 10, 16, 17, 40)} == {EPERM}
    assert judge(seccomp._CLONE, 0x00010000 | 0x100) == ALLOW  # a thread
    assert judge(seccomp._CLONE, 17) == (ALLOW if processes else EPERM)  # a process
    assert judge(seccomp._CLONE3) == (ALLOW if processes else ENOSYS)
    kill = seccomp._TO_A_PROCESS["kill"]
    assert judge(kill, 1234) == ALLOW
    assert {judge(kill, pid) for pid in (1, -1, 0, 1235)} == {ALLOW if processes else EPERM}
    assert {judge(seccomp._PRLIMIT, pid) for pid in (0, 1234)} == {ALLOW} and judge(seccomp._PRLIMIT, 1) == EPERM


@given(st.integers(0, 600))
def test_what_is_not_listed_is_allowed_and_other_conventions_are_not(number):
    program = seccomp.assemble("x86_64", 7, True)
    listed = {n[0] for n in (*seccomp.REFUSED.values(), seccomp._SOCKET, seccomp._PRLIMIT)}
    if number not in listed:
        assert verdict(program, number, 7) == ALLOW
    assert verdict(program, number | 0x40000000) == ENOSYS  # x32
    assert verdict(program, number, arch=0x40000003) == ENOSYS  # 32-bit


def confined(code: str, level: int, uid: int | None, scratch: Path) -> dict:
    """What a process that confines itself can do: names in `code` that were set to true or false."""
    script = f"""
        import json, os, sys
        import ctypes, socket, threading
        from autograder.sandbox import limits
        limits.confine({level}, {uid}, 256, 20, {str(scratch)!r}, [sys.prefix], 0)
        def can(f):
            try:
                f()
            except (OSError, MemoryError, RuntimeError):
                return False
            return True
        seen = {{}}
        {textwrap.indent(textwrap.dedent(code), "        ").strip()}
        os.write(1, json.dumps(seen).encode())
        os._exit(0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


WHAT = """
seen["writes scratch"] = can(lambda: open("x", "w").write("x"))
seen["writes /tmp"] = can(lambda: open("/tmp/jail-test", "w"))
seen["writes /dev/shm"] = can(lambda: open("/dev/shm/jail-test", "w"))
seen["reads passwords"] = can(lambda: open("/etc/passwd").read())
seen["reads the course"] = can(lambda: open(limits.__file__).read())
seen["reads torch"] = can(lambda: open(sys.prefix + "/pyvenv.cfg").read())
seen["internet"] = can(lambda: socket.socket(socket.AF_INET))
seen["starts a process"] = can(os.fork)
seen["starts a thread"] = can(lambda: threading.Thread(target=int).start())
seen["kills the parent"] = can(lambda: os.kill(os.getppid(), 0))
seen["gets root back"] = can(lambda: os.setuid(0)) and os.getuid() == 0 and SECURE
seen["hoards memory"] = can(lambda: bytearray(1 << 30))
seen["is in root's groups"] = 0 in os.getgroups()
"""
SHUT = {
    **dict.fromkeys(("writes scratch", "reads torch", "starts a thread"), True),
    **dict.fromkeys(
        ("writes /tmp", "writes /dev/shm", "reads passwords", "reads the course", "internet", "starts a process"), False
    ),
    **dict.fromkeys(("kills the parent", "gets root back", "hoards memory", "is in root's groups"), False),
}


@ROOT_ON_LINUX
@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_a_confined_process_has_its_scratch_folder_and_little_else(tmp_path):
    scratch = Path("/tmp") / f"jail-{os.getpid()}"
    scratch.mkdir()
    try:
        with jail.reserve_user() as leased:
            leased.give_to_user(scratch)
            assert confined(WHAT.replace("SECURE", "True"), 3, leased.uid, scratch) == SHUT
    finally:
        subprocess.run(["rm", "-rf", str(scratch)], check=True)


@LINUX
@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_level_2_is_the_same_but_for_the_user(tmp_path):
    seen = confined(WHAT.replace("SECURE", "False"), 2, None, tmp_path)
    assert {key: seen[key] for key in SHUT if "root" not in key} == {key: SHUT[key] for key in SHUT if "root" not in key}


@pytest.fixture
def few_users(tmp_path, monkeypatch):
    """Three users that no other grade on this machine takes, because others count up from the first of all."""
    monkeypatch.setattr(jail, "_LOCKS", tmp_path / "locks")
    monkeypatch.setattr(jail, "UIDS", range(59997, 60000))


@ROOT_ON_LINUX
def test_two_runs_never_have_the_same_user_and_a_third_gets_a_free_one(few_users):
    with jail.reserve_user() as first, jail.reserve_user() as second:
        assert (first.uid, second.uid) == (59997, 59998)
    with jail.reserve_user() as third:
        assert third.uid == 59997


@ROOT_ON_LINUX
def test_more_runs_than_users_are_a_fault_of_the_grader(few_users):
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(jail.reserve_user())
        with pytest.raises(GraderFault, match="held by another run"):
            stack.enter_context(jail.reserve_user())


def sleeper(uid: int) -> subprocess.Popen:
    return subprocess.Popen(["sleep", "1000"], user=uid, group=uid, extra_groups=[])


@ROOT_ON_LINUX
def test_grades_of_two_processes_do_not_disturb_each_other():
    """As two workers of pytest-xdist do: each has a user of its own, and the end of one grade kills nothing of the other."""
    other = (
        "from autograder.sandbox import jail\n"
        "with jail.reserve_user() as leased:\n    print(leased.uid, flush=True)\n    input()\n"
        "print('swept', flush=True)"
    )
    with jail.reserve_user() as leased:
        with subprocess.Popen([sys.executable, "-c", other], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            uid = int(process.stdout.readline())
            ours, theirs = sleeper(leased.uid), sleeper(uid)
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "swept\n"
        assert uid != leased.uid
        assert theirs.wait(10) == -9  # the control: the other process did sweep
        assert ours.poll() is None
        jail.kill_and_clean(leased.uid)
        assert ours.wait(10) == -9


@ROOT_ON_LINUX
def test_what_a_run_leaves_running_or_lying_about_is_swept_away(tmp_path):
    left = Path("/tmp") / f"left-{os.getpid()}"
    with jail.reserve_user() as leased:
        script = f"import os, time; os.mkdir({str(left)!r}); os.fork(); os.setsid(); time.sleep(1000)"
        process = subprocess.Popen([sys.executable, "-IS", "-c", script], user=leased.uid, group=leased.uid, extra_groups=[])
        while not left.exists():
            assert process.poll() is None
            time.sleep(0.02)
        jail.kill_and_clean(leased.uid)
        assert process.wait(10) == -9
        assert not list(jail._processes(leased.uid))
    assert not left.exists()


def test_a_folder_that_others_cannot_enter_is_named(tmp_path):
    closed = tmp_path / "closed"
    (closed / "bin").mkdir(parents=True)
    closed.chmod(0o700)
    assert jail.closed_folder([closed / "bin" / "python"]) in [str(p) for p in [closed, *closed.parents]]
    assert jail.closed_folder(["/usr/bin"]) is None


def test_hidden_checks_need_a_jail_that_hides_them(tmp_path):
    tmp_path.chmod(0o755)
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o700)
    assert jail.Jail(3, landlock=True).can_hide(Path("/usr")) and jail.Jail(2, landlock=True).can_hide(Path("/usr"))
    assert jail.Jail(3, landlock=False).can_hide(secret) and not jail.Jail(3, landlock=False).can_hide(Path("/usr"))
    assert not jail.Jail(2, landlock=False).can_hide(secret) and not jail.Jail(1, landlock=True).can_hide(secret)
